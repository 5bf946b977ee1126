/** What a program says with the OpenTelemetry JS SDK, as the pages of logs and metrics show it. */

import assert from "node:assert/strict";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { withCollector } from "./page_collector.ts";
import { allStored } from "./page_log_lines.ts";
import { exportersTo } from "./sdk_exporters.ts";
import { EVERY_TYPE, runProgram } from "./sdk_program.ts";

const PROTOBUF = { encoding: "protobuf", compression: "gzip" } as const;
const JSON_TEXT = { encoding: "json", compression: "none" } as const;

browserTest(
  "log records of an SDK stand on the page with their bodies, attributes and span",
  async (open) => {
    await withCollector(async ({ url }) => {
      const { spans } = await runProgram("cart", exportersTo(url, JSON_TEXT));
      await allStored(url);
      const page = await open(`${url}/logs?service=cart`);
      const all = 24 + Object.keys(EVERY_TYPE).length + 4;
      await page.getByRole("status").filter({ hasText: new RegExp(`^${all} records$`) }).waitFor();
      await page.getByLabel("Severity").selectOption({ label: "Error and above" });
      // Of 24 severities 17 to 24, and one that says what was thrown.
      await page.getByRole("status").filter({ hasText: /^9 records$/ }).waitFor();
      const rows = page.getByRole("grid", { name: "Log records", exact: true }).getByRole("row");
      await rows.filter({ hasText: /^.*level 17cartseverity 17$/ }).click();
      const details = page.getByRole("complementary", { name: "Details" });
      await details.getByText("shop.log 2.0.0").waitFor();
      await details.getByRole("rowheader", { name: "host.ip" }).waitFor();
      await details.getByRole("button", { name: "Show what was logged around it" }).click();
      const context = page.getByRole("grid", { name: "Log records around it" });
      await context.locator("[aria-selected=true]").getByText("severity 17").waitFor();
      // All of its logger, none of the other one.
      assert.equal(await context.getAttribute("aria-rowcount"), "24");
      for (const theme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: theme });
        assert.deepEqual(await seriousFaults(page), [], theme);
      }

      await page.goto(`${url}/logs?service=cart&text=attributes`);
      await rows.filter({ hasText: /attributes$/ }).click();
      const cell = (key: string) =>
        details.getByRole("row").filter({
          has: page.getByRole("rowheader", { name: key, exact: true }),
        }).getByRole("cell").first();
      for (
        const [key, text] of [
          ["text", "Grüße, 世界 👋"],
          ["int.safe", "9007199254740991"],
          ["array.mixed", '["a",1,0.5,null,[true],{"k":"v"}]'],
          ["map", '{"a":1,"b":{"c":["d"]}}'],
          ["true", "true"],
        ] as const
      ) assert.equal(await cell(key).innerText(), text);

      await page.goto(`${url}/logs?service=cart&text=exception`);
      await rows.filter({ hasText: /exception$/ }).click();
      await details.getByRole("rowheader", { name: "exception.stacktrace" }).waitFor();
      const span = spans.get("GET /cart")!;
      await details.getByRole("link", { name: "Open its trace" }).click();
      await page.waitForURL(new RegExp(`/traces/${span.traceId}\\?span=${span.spanId}`));
    });
  },
);

browserTest("metrics of an SDK stand on the page, each instrument as what it is", async (open) => {
  await withCollector(async ({ url }) => {
    await runProgram("cart", exportersTo(url, PROTOBUF));
    await allStored(url);
    const page = await open(`${url}/charts?name=size`);
    await page.getByRole("listitem").getByRole("link", { name: /^size/ }).first().waitFor();
    const heat = page.getByRole("region", { name: "Heat map" });
    const sums = async () => {
      await heat.getByText("As a table").click();
      const rows = heat.getByRole("group", { name: "Measurements by size" }).getByRole("row");
      return (await rows.allInnerTexts()).slice(1).map((row) => row.split("\t").slice(0, 2));
    };
    const chart = (name: string, type: string, more = "") =>
      page.goto(`${url}/charts?metric=${name}&type=${type}${more}`);

    await chart("size", "histogram", "&unit=By&temporality=DELTA");
    assert.deepEqual(await sums(), [
      ["above 100 B", "1"],
      ["10 B to 100 B", "1"],
      ["0 B to 10 B", "3"],
      ["up to 0 B", "1"],
    ]);
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme });
      assert.deepEqual(await seriousFaults(page), [], theme);
    }

    await chart("spread.exponential", "exponential_histogram", "&temporality=DELTA");
    const counted = await sums();
    assert.equal(counted.reduce((sum, [, count]) => sum + Number(count), 0), 6);

    const values = page.getByRole("group", { name: "Values of the series" });
    await chart("orders", "sum", "&unit={order}&temporality=DELTA&group=*&function=sum");
    // 2 + 3 and 7 were paid; 2 ** 53 were not.
    await page.getByLabel("Filter").fill("paid = true");
    await page.keyboard.press("Enter");
    // The sums of all series stand there until the filtered ones come.
    await values.getByRole("row", { name: /^all series.*\b(12|7|5)\b/ }).waitFor();

    // Values that no axis holds.
    await chart("odd", "gauge", "&temporality=&group=each&function=last");
    await values.getByRole("row", { name: "is=infinite" }).getByRole("cell", { name: "∞" }).first()
      .waitFor();
    await values.getByRole("row", { name: "is=large" }).waitFor();
    assert.equal(await values.getByRole("row", { name: "is=nan" }).count(), 0);
    assert.equal(await page.locator(".chart canvas").count(), 1);
  });
});
