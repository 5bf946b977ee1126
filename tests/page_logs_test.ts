/** The page of logs, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { startCollector } from "./collector_process.ts";
import { allStored, type LogLine, sendLines } from "./page_log_lines.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const database = drivers.includes("postgres") ? await testDatabase("postgres") : undefined;
const folder = await temporaryFolder();
const collector = await startCollector({
  dataDir: folder.path,
  ...database === undefined ? {} : { env: { DATABASE_URL: database.url } },
});
addEventListener("unload", () => collector.signal("SIGKILL"));

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
/** Half an hour ago. */
const MIDDLE = BigInt(Date.now() - 1_800_000) * 1_000_000n;
const SECOND = 1_000_000_000n;
const HOSTILE = "<script>document.title = 'broken'</script><img src=x onerror=alert(1)>";

/** Sends log records of a service, in one scope. */
const send = (service: string, scope: string, lines: readonly LogLine[]) =>
  sendLines(
    collector.url,
    { service, scope, resource: { "host.name": "web-1" } },
    lines.map((line) => ({
      ...line,
      attributes: { "order.id": line.text.slice(-3), "<b>key</b>": HOSTILE },
    })),
  );

await send("shop", "orders", [
  // One each second around the middle: the order that failed is number 600.
  ...Array.from({ length: 1_200 }, (_, n): LogLine => ({
    at: MIDDLE + BigInt(n - 600) * SECOND,
    text: n === 600 ? "payment declined for order 600" : `order shipped ${n}`,
    severity: n === 600 ? 17 : n % 2 === 0 ? 5 : 9,
    ...n === 600 ? { traceId: TRACE_ID, spanId: SPAN_ID } : {},
  })),
]);
await send("shop", "other scope", [{ at: MIDDLE + 1n, text: "of another scope" }]);
await send("mail", "orders", [
  { at: MIDDLE + 2n, text: "of another service" },
  { at: MIDDLE + 1_000n * SECOND, text: HOSTILE, severity: 13 },
]);
await allStored(collector.url);

const rows = (page: Page) =>
  page.getByRole("grid", { name: "Log records", exact: true }).getByRole("row");
const found = async (page: Page, count: number) => {
  await page.getByRole("status").filter({
    hasText: new RegExp(`^${count.toLocaleString("en")} `),
  })
    .waitFor();
};
const parametersOf = (page: Page) => Object.fromEntries(new URL(page.url()).searchParams);

browserTest(
  "words, a filter, severity and service narrow logs, and stand in the address",
  async (open) => {
    const page = await open(`${collector.url}/logs`);
    await page.getByText("500 of 1,203 records").waitFor();
    // The page holds only the rows in sight.
    assert.ok(await rows(page).count() < 100);

    await page.getByLabel("Words in the message").fill("declined PAYMENT");
    await page.keyboard.press("Enter");
    await found(page, 1);
    assert.match((await rows(page).allInnerTexts())[0]!, /ERROR\s+shop\s+payment declined/);
    assert.deepEqual(parametersOf(page), { text: "declined PAYMENT" });
    await page.reload();
    await found(page, 1);
    assert.equal(await page.getByLabel("Words in the message").inputValue(), "declined PAYMENT");
    await page.goBack();
    await page.getByText("500 of 1,203 records").waitFor();

    await page.getByLabel("Severity").selectOption({ label: "Warn and above" });
    await found(page, 2);
    await page.getByLabel("Service").selectOption("mail");
    await found(page, 1);
    await page.goto(`${collector.url}/logs`);
    await page.locator("body").press("/");
    await page.keyboard.press("Tab");
    await page.keyboard.type("order.id = nowhere");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No log records" }).waitFor();
    await page.getByRole("link", { name: "Clear the filters" }).click();
    await page.getByText("500 of 1,203 records").waitFor();
  },
);

browserTest("rows that are scrolled to are asked for", async (open) => {
  const page = await open(`${collector.url}/logs`);
  await page.getByText("500 of 1,203 records").waitFor();
  await page.locator("body").press("End");
  await page.getByText("1,000 of 1,203 records").waitFor();
  await page.locator("body").press("End");
  await found(page, 1_203);
  await page.locator("body").press("End");
  await rows(page).filter({ hasText: /order shipped 0$/ }).waitFor();
});

browserTest("dragging over the histogram zooms; a button and Backspace undo it", async (open) => {
  const page = await open(`${collector.url}/logs`);
  await page.getByText("500 of 1,203 records").waitFor();
  const box = (await page.locator(".brush").boundingBox())!;
  const at = (part: number) => [box.x + box.width * part, box.y + 20] as const;
  await page.mouse.move(...at(0.45));
  await page.mouse.down();
  await page.mouse.move(...at(0.5), { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/since=\d+&until=\d+/);
  const { since, until } = parametersOf(page);
  const seconds = Number(BigInt(until!) - BigInt(since!)) / 1e9;
  assert.ok(Math.abs(seconds - 180) < 10, `${seconds} s`);
  const all = await (await fetch(
    `${collector.url}/api/logs?since=${since}&until=${until}&limit=1000`,
  )).json();
  await found(page, all.logs.length);
  const zoomOut = page.getByRole("button", { name: "Zoom out" });
  await zoomOut.click();
  await page.getByText("500 of 1,203 records").waitFor();
  assert.deepEqual(parametersOf(page), {});
  assert.equal(await zoomOut.count(), 0);

  // The table has what is in the pictures: all of the range, not only the rows that were asked for.
  await page.getByText("As a table").click();
  const table = page.getByRole("group", { name: "Counts" });
  const cells = await table.locator("tbody").getByRole("cell").allInnerTexts();
  const counts = cells.filter((_, n) => n % 3 === 1);
  assert.equal(counts.reduce((sum, count) => sum + Number(count.replaceAll(",", "")), 0), 1_203);
  assert.ok(counts.length > 5, counts.join(" "));
  // The same by keyboard alone.
  const first = table.getByRole("button").first();
  await first.focus();
  // What is there stays until there is an answer: pressed twice, it is one zoom.
  await page.route("**/api/log-counts?*", () => {});
  await page.keyboard.press("Enter");
  await page.waitForURL(/since=\d+&until=\d+/);
  assert.deepEqual(Object.keys(parametersOf(page)), ["since", "until"]);
  await page.keyboard.press("Enter");
  await page.unroute("**/api/log-counts?*");
  await page.keyboard.press("Backspace");
  await page.waitForURL((url) => !url.searchParams.has("since"));
  await page.getByText("500 of 1,203 records").waitFor();
});

browserTest(
  "a record's context has neither the query nor the severity, and shows the record",
  async (open) => {
    const page = await open(`${collector.url}/logs?text=declined&minSeverity=17`);
    await found(page, 1);
    await page.locator("body").press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Show what was logged around it" }).click();
    const context = page.getByRole("grid", { name: "Log records around it" });
    const anchor = context.locator("[aria-selected=true]");
    await anchor.waitFor();
    assert.match(await anchor.innerText(), /payment declined for order 600/);
    // It is in sight, and marked.
    const box = (await anchor.boundingBox())!;
    const around = (await page.locator(".log-context .rows").boundingBox())!;
    assert.ok(box.y > around.y + 24 && box.y + box.height <= around.y + around.height);
    const background = (selected: boolean) =>
      page.evaluate<string>(`getComputedStyle(document.querySelector(
        ".log-context [role=row][aria-selected=${selected}]"
      )).backgroundColor`);
    assert.notEqual(await background(true), await background(false));
    assert.equal(await context.getAttribute("aria-rowcount"), "101");
    const texts = await context.getByRole("row").allInnerTexts();
    assert.ok(texts.every((text) => /^\d\d:\d\d:\d\d\.\d{3}\s/.test(text)), texts.join("\n"));
    assert.ok(texts.some((text) => /DEBUG\s+order shipped 598/.test(text)), texts.join("\n"));
    assert.ok(texts.some((text) => /INFO\s+order shipped 601/.test(text)));
    assert.ok(!texts.some((text) => text.includes("of another")));

    await page.getByRole("grid", { name: "Log records around it" }).hover();
    await page.mouse.wheel(0, -10_000);
    await context.getByText("order shipped 650").waitFor();
    await page.mouse.wheel(0, 10_000);
    await context.getByText("order shipped 550").waitFor();

    // A new tab shows the same.
    const again = await open(page.url());
    await again.getByRole("grid", { name: "Log records around it" }).locator("[aria-selected=true]")
      .waitFor();
    await again.getByRole("link", { name: "Open its trace" }).click();
    await again.waitForURL(new RegExp(`/traces/${TRACE_ID}\\?span=${SPAN_ID}`));
  },
);

browserTest("fifty records each way are found among many of other scopes", async (open) => {
  // In a second 5,000 of another scope, and one of this one every 10 ms.
  const at = MIDDLE - 3_000n * SECOND;
  const step = SECOND / 5_000n;
  const noise = Array.from(
    { length: 5_000 },
    (_, n) => ({ at: at + BigInt(n) * step, text: "noise" }),
  );
  for (let n = 0; n < noise.length; n += 1_000) {
    await send("busy", "loud", noise.slice(n, n + 1_000));
  }
  await send(
    "busy",
    "quiet",
    Array.from({ length: 100 }, (_, n) => ({ at: at + BigInt(n * 50) * step, text: `step ${n}` })),
  );
  await allStored(collector.url);
  const page = await open(`${collector.url}/logs?since=3h&service=busy&text=step+50&context=1`);
  await rows(page).filter({ hasText: /step 50$/ }).click();
  const context = page.getByRole("grid", { name: "Log records around it" });
  await context.locator("[aria-selected=true]").getByText("step 50").waitFor();
  // From the first to the last there are 100.
  assert.equal(await context.getAttribute("aria-rowcount"), "100");
  await context.hover();
  await page.mouse.wheel(0, -10_000);
  await context.getByText("step 99").waitFor();
  await page.mouse.wheel(0, 10_000);
  await context.getByText("step 0", { exact: true }).waitFor();
  assert.equal(await context.getByText("noise").count(), 0);
});

browserTest("markup in messages and attributes is shown as text", async (open) => {
  const page = await open(`${collector.url}/logs?service=mail&minSeverity=13`);
  await found(page, 1);
  await rows(page).first().click();
  const details = page.getByRole("complementary", { name: "Details" });
  await details.getByRole("rowheader", { name: "<b>key</b>" }).waitFor();
  assert.equal(await details.locator("pre").innerText(), HOSTILE);
  assert.equal(await page.title(), "Logs · OTel");
  assert.equal(await page.locator("main img, main script").count(), 0);
});

browserTest(
  "the live tail shows what arrives; it stops for who reads, and goes on",
  async (open) => {
    const page = await open(`${collector.url}/logs?live=1&minSeverity=13`);
    await page.getByText("● Live").waitFor();
    const now = () => BigInt(Date.now()) * 1_000_000n;
    const warn = (from: number, count: number) =>
      send(
        "live",
        "orders",
        Array.from({ length: count }, (_, n) => ({
          at: now(),
          text: `arrived ${from + n}`,
          severity: n % 2 === 0 ? 13 : 9,
        })),
      );
    const tail = page.getByRole("grid", { name: "Log records as they arrive" });
    await warn(0, 200);
    await tail.getByText("arrived 198").waitFor();
    assert.equal(await tail.getAttribute("aria-rowcount"), "100");

    await tail.getByText("arrived 198").click();
    await page.getByRole("complementary", { name: "Details" }).waitFor();
    await warn(200, 20);
    await page.getByRole("button", { name: "Paused · 10 new · Resume" }).click();
    await tail.getByText("arrived 218").waitFor();
    assert.equal(await page.getByRole("complementary", { name: "Details" }).count(), 0);

    await tail.hover();
    await page.mouse.wheel(0, 600);
    await page.getByRole("button", { name: "Paused · 0 new · Resume" }).waitFor();
    await warn(300, 20);
    const resume = page.getByRole("button", { name: "Paused · 10 new · Resume" });
    await resume.waitFor();
    assert.equal(await tail.getByText("arrived 318").count(), 0);
    await page.locator("body").press("p");
    await tail.getByText("arrived 318").waitFor();

    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByText("What arrives from now on is shown here.").waitFor();
    await warn(400, 2);
    await tail.getByText("arrived 400").waitFor();
    assert.equal(await tail.getAttribute("aria-rowcount"), "1");
  },
);

browserTest(
  "an API that fails leaves what was shown, says why and is asked again",
  async (open) => {
    const page = await open(`${collector.url}/logs?service=shop`);
    await page.getByText("500 of 1,201 records").waitFor();
    await page.route(/\/api\/logs\?/, (route) =>
      route.fulfill({
        status: 500,
        contentType: "application/json",
        body: '{"detail":"disk is full"}',
      }));
    await page.locator("body").press("r");
    const alert = page.getByRole("alert");
    await alert.getByText("500: disk is full").waitFor();
    assert.ok(await rows(page).first().isVisible());
    await page.unroute(/\/api\/logs\?/);
    await alert.getByRole("button", { name: "Retry" }).click();
    await alert.waitFor({ state: "detached" });
  },
);
