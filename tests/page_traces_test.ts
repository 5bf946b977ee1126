/** The page of traces, in Chromium, over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { sendTraces, withCollector } from "./page_collector.ts";

/** What the rows say, in their order, once there are so many. */
async function rowsOf(page: Page, count: number): Promise<string[]> {
  const rows = page.locator("a.trace-row");
  while (await rows.count() !== count) await page.waitForTimeout(20);
  return await rows.locator(".trace-name").allInnerTexts();
}

const parametersOf = (page: Page) => Object.fromEntries(new URL(page.url()).searchParams);

browserTest(
  "a search of traces stands in the address, and a reload shows the same",
  async (open) => {
    await withCollector(async ({ url }) => {
      const [slow] = await sendTraces(url, [
        { service: "shop", operation: "POST /cart", durationMs: 900, agoMs: 50_000, calls: "cart" },
        { service: "shop", operation: "GET /", durationMs: 20, isError: true },
        { service: "mail", operation: "send", durationMs: 300, attributes: { "mail.to": "ann" } },
      ]);
      const page = await open(`${url}/traces`);
      assert.equal((await rowsOf(page, 3))[0], "shop: POST /cart");

      await page.getByLabel("Service").fill("shop");
      await page.getByLabel("Service").press("Enter");
      assert.deepEqual(await rowsOf(page, 2), ["shop: POST /cart", "shop: GET /"]);
      assert.deepEqual(parametersOf(page), { service: "shop" });
      await page.getByText("Errors only").click();
      assert.deepEqual(await rowsOf(page, 1), ["shop: GET /"]);
      assert.deepEqual(parametersOf(page), { service: "shop", errors: "1" });
      await page.reload();
      assert.deepEqual(await rowsOf(page, 1), ["shop: GET /"]);
      assert.equal(await page.getByLabel("Service").inputValue(), "shop");
      assert.equal(await page.getByLabel("Errors only").isChecked(), true);
      await page.goBack();
      await page.goBack();
      await rowsOf(page, 3);

      await page.getByLabel("Query").fill("mail.to = ann");
      await page.getByRole("button", { name: "Run" }).click();
      assert.deepEqual(await rowsOf(page, 1), ["mail: send"]);
      await page.getByLabel("Query").fill("");
      await page.getByRole("button", { name: "Run" }).click();
      await rowsOf(page, 3);
      await page.getByLabel("At least this long").fill("100ms");
      await page.getByLabel("At most this long").fill("500ms");
      await page.getByRole("button", { name: "Run" }).click();
      assert.deepEqual(await rowsOf(page, 1), ["mail: send"]);
      assert.deepEqual(parametersOf(page), { min: "100ms", max: "500ms" });

      await page.goto(`${url}/traces`);
      await page.getByLabel("Query").fill(`00-${slow!.toUpperCase()}-b7ad6b7169203331-01`);
      await page.getByLabel("Query").press("Enter");
      await page.waitForURL(`${url}/traces/${slow}`);

      await page.goto(`${url}/traces?sort=slowest`);
      assert.deepEqual(await rowsOf(page, 3), ["shop: POST /cart", "mail: send", "shop: GET /"]);
      await page.locator("body").press("j");
      await page.keyboard.press("Enter");
      await page.waitForURL(`${url}/traces/${slow}`);
    });
  },
);

browserTest("services and operations are completed", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(url, [
      { service: "shop", operation: "GET /", durationMs: 20 },
      { service: "mail", operation: "send", durationMs: 300 },
    ]);
    const page = await open(`${url}/traces?service=mail`);
    const names = async (id: string) => {
      await page.locator(`#${id} option`).first().waitFor({ state: "attached" });
      return await page.locator(`#${id} option`).evaluateAll((options) =>
        options.map((option) => option.getAttribute("value"))
      );
    };
    assert.deepEqual(await names("services"), ["mail", "shop"]);
    assert.deepEqual(await names("operations"), ["send"]);
  });
});

browserTest("names of fields and attributes are completed in the query", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(url, [
      {
        service: "shop",
        operation: "GET /",
        durationMs: 5,
        attributes: { "http.route": "/", "http.method": "GET", "user id": "7", kind: "a" },
      },
      { service: "mail", operation: "send", durationMs: 5, attributes: { "mail.to": "ann" } },
    ]);
    const page = await open(`${url}/traces?service=shop`);
    await rowsOf(page, 1);
    const query = page.getByLabel("Query");
    const offered = async () => await page.getByRole("option").allInnerTexts();
    await query.focus();
    await page.keyboard.type("status != ERROR and h");
    await page.getByRole("option", { name: "http.route" }).waitFor();
    assert.deepEqual(await offered(), ["http.method", "http.route"]);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    assert.equal(await query.inputValue(), "status != ERROR and http.route ");
    // A value is not completed, and Enter asks when nothing is offered.
    await page.keyboard.type("= /");
    assert.deepEqual(await offered(), []);
    await page.keyboard.press("Enter");
    await page.waitForURL((now) =>
      now.searchParams.get("query")?.endsWith("http.route = /") ?? false
    );
    await rowsOf(page, 1);

    // What the grammar would read as something else is written so that it does not.
    await query.fill("us");
    await page.getByRole("option", { name: `"user id"` }).click();
    assert.equal(await query.inputValue(), `"user id" `);
    await query.fill("attributes");
    assert.deepEqual(await offered(), ["attributes.kind"]);
    await query.fill("resource");
    assert.deepEqual(await offered(), ["resource.service.name"]);
    await page.keyboard.press("Escape");
    assert.deepEqual(await offered(), []);
    assert.equal(await query.inputValue(), "resource");
    await query.fill("mail");
    assert.deepEqual(await offered(), []);
  });
});

browserTest("columns sort the list and can be made wider; a reload keeps both", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(url, [
      { service: "shop", operation: "b", durationMs: 5, agoMs: 30_000, calls: "db" },
      { service: "shop", operation: "c", durationMs: 50, agoMs: 40_000 },
      { service: "shop", operation: "a", durationMs: 500, agoMs: 50_000, isError: true },
    ]);
    const page = await open(`${url}/traces`);
    await rowsOf(page, 3);
    const head = (name: string) => page.getByRole("button", { name: new RegExp(`^${name}`) });
    const areInOrder = async (operations: string) => {
      for (const [at, operation] of [...operations].entries()) {
        const row = page.locator("a.trace-row").nth(at);
        await row.filter({ hasText: `shop: ${operation}` }).waitFor();
      }
    };
    for (
      const [name, sort, operations] of [
        ["Duration", "slowest", "acb"],
        ["Duration", "-slowest", "bca"],
        ["Service: root", "root", "abc"],
        ["Spans", "spans", "bca"],
        ["Errors", "errors", "abc"],
        ["Time", undefined, "bca"],
        ["Time", "-newest", "acb"],
      ] as const
    ) {
      await head(name).click();
      await head(name).locator(".icon").waitFor();
      await areInOrder(operations);
      assert.equal(parametersOf(page).sort, sort);
    }

    const width = async () => (await page.locator("a.trace-row .num").first().boundingBox())!.x;
    const before = await width();
    const { x, y, width: wide } = (await page.locator("[data-column=root]").boundingBox())!;
    await page.mouse.move(x + wide, y + 8);
    await page.mouse.down();
    await page.mouse.move(x + wide - 100, y + 8, { steps: 3 });
    await page.mouse.up();
    assert.ok(Math.abs(before - await width() - 100) <= 2);
    await page.reload();
    await areInOrder("acb");
    assert.ok(Math.abs(before - await width() - 100) <= 2);
    await head("Service: root").press("Shift+ArrowRight");
    assert.ok(Math.abs(before - await width() - 76) <= 2);
    await page.locator("[data-column=root] .column-edge").dblclick();
    assert.equal(await width(), before);
  });
});

browserTest(
  "a box drawn in the picture shows the traces in it; a click opens one",
  async (open) => {
    await withCollector(async ({ url }) => {
      const [first] = await sendTraces(url, [
        { service: "shop", operation: "early and quick", durationMs: 2, agoMs: 2_700_000 },
        {
          service: "shop",
          operation: "early and slow",
          durationMs: 800,
          agoMs: 2_700_000,
          calls: "db",
        },
        { service: "shop", operation: "late and quick", durationMs: 2, agoMs: 900_000 },
        { service: "shop", operation: "late and slow", durationMs: 800, agoMs: 900_000 },
      ]);
      const page = await open(`${url}/traces`);
      await rowsOf(page, 4);
      const { x, y, width, height } = (await page.locator(".scatter canvas").boundingBox())!;
      await page.mouse.move(x + 60, y + height * 0.5);
      await page.mouse.down();
      await page.mouse.move(x + width / 2, y + height - 25, { steps: 3 });
      await page.mouse.up();
      assert.deepEqual(await rowsOf(page, 1), ["shop: early and quick"]);
      const { since, until, min, max } = parametersOf(page);
      assert.ok(BigInt(since!) < BigInt(until!));
      assert.match(min!, /^1\.?\d*ms$/);
      assert.match(max!, /^\d+(\.\d+)?ms$/);
      await page.reload();
      await rowsOf(page, 1);

      await page.goBack();
      await rowsOf(page, 4);
      // The upper left quarter: the trace is meant with its short span as well.
      await page.mouse.move(x + 60, y + 12);
      await page.mouse.down();
      await page.mouse.move(x + width / 2, y + height * 0.5, { steps: 3 });
      await page.mouse.up();
      assert.deepEqual(await rowsOf(page, 1), ["shop: early and slow"]);
      await page.locator("body").press("Backspace");
      await rowsOf(page, 4);
      assert.deepEqual(parametersOf(page), {});

      // Two boxes, one in the other; the second has nothing in it.
      await page.mouse.move(x + 60, y + 12);
      await page.mouse.down();
      await page.mouse.move(x + width / 2, y + height * 0.5, { steps: 3 });
      await page.mouse.up();
      await rowsOf(page, 1);
      const outer = parametersOf(page);
      await page.mouse.move(x + 60, y + height - 60);
      await page.mouse.down();
      await page.mouse.move(x + 90, y + height - 25, { steps: 3 });
      await page.mouse.up();
      await page.getByText("No trace matches").waitFor();
      await page.getByRole("button", { name: "Zoom out" }).click();
      await rowsOf(page, 1);
      assert.deepEqual(parametersOf(page), outer);
      await page.getByRole("button", { name: "Zoom out" }).click();
      await rowsOf(page, 4);
      assert.deepEqual(parametersOf(page), {});
      assert.equal(await page.getByRole("button", { name: "Zoom out" }).count(), 0);

      // 2 ms on an axis from 1 ms to 1 s, a quarter of the hour in.
      const left = x + 56 + (width - 68) / 4;
      const top = y + height - 20 - Math.log10(2) / 3 * (height - 30);
      await page.mouse.move(left, top);
      await page.locator(".scatter-said", { hasText: "early and quick" }).waitFor();
      await page.mouse.click(left, top);
      await page.waitForURL(`${url}/traces/${first}`);
    });
  },
);

browserTest("more traces than a page has come with the next one", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(
      url,
      Array.from({ length: 230 }, (_, n) => ({
        service: "shop",
        operation: `request ${n}`,
        durationMs: n + 1,
        agoMs: 60_000 + n * 1000,
      })),
    );
    const page = await open(`${url}/traces?since=3h`);
    await page.getByText("200 of ≥201 traces").waitFor();
    await page.getByRole("button", { name: "Load more" }).click();
    await page.getByText("230 traces", { exact: true }).waitFor();
    assert.deepEqual(parametersOf(page), { since: "3h", show: "400" });
    assert.ok(await page.locator("a.trace-row").count() < 60);
    await page.locator(".trace-list").evaluate((list) => list.scrollTop = list.scrollHeight);
    await page.getByText("request 229", { exact: false }).waitFor();
    await page.reload();
    await page.getByText("230 traces", { exact: true }).waitFor();
  });
});

browserTest(
  "traces that are longer than asked for are left out, and more are looked for",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTraces(url, [{ service: "shop", operation: "GET /", durationMs: 5 }]);
      const page = await open(`${url}/traces`);
      await rowsOf(page, 1);
      const { range, traces: [short] } = await (await fetch(`${url}/api/traces`)).json();
      const asked: string[] = [];
      await page.route("**/api/traces?*", (route) => {
        const cursor = new URL(route.request().url()).searchParams.get("cursor") ?? "0";
        asked.push(cursor);
        const traces = cursor === "6" ? [short] : [{ ...short, durationNs: "2000000000" }];
        return route.fulfill({
          json: { range, traces, ...cursor !== "6" && { cursor: String(Number(cursor) + 1) } },
        });
      });
      await page.getByLabel("At most this long").fill("1s");
      await page.getByLabel("At most this long").press("Enter");
      await page.getByRole("heading", { name: "No trace matches so far" }).waitFor();
      assert.deepEqual(asked, ["0", "1", "2", "3", "4"]);
      await page.getByRole("button", { name: "Load more" }).click();
      assert.deepEqual(await rowsOf(page, 1), ["shop: GET /"]);
      assert.deepEqual(asked.slice(5), ["5", "6"]);
      await page.getByText("1 trace", { exact: true }).waitFor();
    });
  },
);

browserTest("names are text, whatever is in them", async (open) => {
  await withCollector(async ({ url }) => {
    const service = `<script>alert(1)</script>`;
    const operation = `<img src=x onerror="throw 1">`;
    await sendTraces(url, [{ service, operation, durationMs: 5 }]);
    const page = await open(`${url}/traces`);
    assert.deepEqual(await rowsOf(page, 1), [`${service}: ${operation}`]);
    assert.equal(await page.locator("main img, main script").count(), 0);
  });
});

browserTest(
  "an API that fails gives a message, keeps what was shown, and is asked again",
  async (open) => {
    await withCollector(async ({ url }) => {
      await sendTraces(url, [{ service: "shop", operation: "GET /", durationMs: 5 }]);
      const page = await open(`${url}/traces`);
      await rowsOf(page, 1);
      await page.route(
        "**/api/traces?*",
        (route) => route.fulfill({ status: 500, body: "disk full" }),
      );
      await page.getByRole("button", { name: "Refresh" }).click();
      const alert = page.getByRole("alert");
      await alert.getByText("500: disk full").waitFor();
      await alert.getByText("What is shown is from before.").waitFor();
      await rowsOf(page, 1);
      await page.unroute("**/api/traces?*");
      await alert.getByRole("button", { name: "Retry" }).click();
      await alert.waitFor({ state: "detached" });
      await rowsOf(page, 1);

      await page.getByLabel("Query").fill("and and");
      await page.getByLabel("Query").press("Enter");
      await alert.getByText("400: ").waitFor();
    });
  },
);

browserTest("an API that is slow can be waited for no longer", async (open) => {
  await withCollector(async ({ url }) => {
    await sendTraces(url, [{ service: "shop", operation: "GET /", durationMs: 5 }]);
    const page = await open(`${url}/traces`);
    await rowsOf(page, 1);
    const aborted = page.waitForEvent("requestfailed", (request) => request.url().includes("slow"));
    await page.route("**/api/traces?*", () => {});
    await page.getByLabel("Service").fill("slow");
    await page.getByLabel("Service").press("Enter");
    await page.getByRole("button", { name: "Cancel" }).click();
    await aborted;
    await page.getByRole("alert").getByText("Cancelled").waitFor();
    await page.unroute("**/api/traces?*");
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByRole("heading", { name: "No trace matches" }).waitFor();
    await page.getByRole("button", { name: "Clear the search" }).click();
    await rowsOf(page, 1);
  });
});

browserTest(
  "an empty store shows how to send a span, and turns into it when one arrives",
  async (open) => {
    await withCollector(async ({ url }) => {
      const page = await open(`${url}/`, { colorScheme: "dark" });
      await page.getByRole("heading", { name: "Nothing has arrived yet" }).waitFor();
      for (const name of ["curl", "Deno", "Node"]) {
        const snippet = page.getByRole("region", { name });
        assert.ok((await snippet.locator("pre").innerText()).includes(url));
        await snippet.getByRole("button", { name: "Copy" }).waitFor();
      }
      await sendTraces(url, [{ service: "hello", operation: "first", durationMs: 5 }]);
      assert.deepEqual(await rowsOf(page, 1), ["hello: first"]);
      assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
      assert.equal(await page.getByText("Nothing has arrived yet").count(), 0);
      // What was received is known after a search that finds nothing, too.
      await page.getByLabel("Query").fill("operation = second");
      await page.getByLabel("Query").press("Enter");
      await page.getByRole("heading", { name: "No trace matches" }).waitFor();
    });
  },
);

browserTest(
  "the page of traces has no serious fault of accessibility, light or dark",
  async (open) => {
    await withCollector(async ({ url }) => {
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await open(url, { colorScheme });
        await page.getByRole("heading", { name: "Nothing has arrived yet" }).waitFor();
        assert.deepEqual(await seriousFaults(page), []);
      }
      await sendTraces(url, [
        { service: "shop", operation: "GET /", durationMs: 5, calls: "cart" },
        { service: "shop", operation: "POST /cart", durationMs: 5, isError: true },
      ]);
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await open(`${url}/traces`, { colorScheme });
        await rowsOf(page, 2);
        assert.deepEqual(await seriousFaults(page), []);
        await page.goto(`${url}/traces?service=nobody`);
        await page.getByRole("heading", { name: "No trace matches" }).waitFor();
        assert.deepEqual(await seriousFaults(page), []);
      }
    });
  },
);
