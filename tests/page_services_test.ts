/** The page of services, in Chromium over a collector with the traffic of a shop. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { startCollector } from "./collector_process.ts";
import { CALLS, sendTraffic } from "./page_traffic.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const TRACES = 30;
const database = drivers.includes("postgres") ? await testDatabase("postgres") : undefined;
const folder = await temporaryFolder();
const collector = await startCollector({
  dataDir: folder.path,
  ...database === undefined ? {} : { env: { DATABASE_URL: database.url } },
});
await sendTraffic(collector.url, TRACES);
await stored(collector.url);

Deno.test.afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function stored(url: string): Promise<void> {
  while (true) {
    const { destinations: [storage] } = await (await fetch(`${url}/api/stats`)).json();
    if (storage.pending.traces === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const SERVICES = [...new Set(CALLS.flat())].sort();
const red = (page: Page) => page.getByRole("group", { name: "Requests by Service" });
const graph = (page: Page) => page.getByRole("group", { name: /^Service graph;/ });
const names = (page: Page) => red(page).locator("tbody th").allTextContents();
const nodes = (page: Page) =>
  graph(page).getByRole("button").evaluateAll((all) =>
    all.map((one) => one.querySelector(".node-name")!.textContent)
  );

browserTest(
  "each service has its requests, errors and durations, sorted as the address says",
  async (open) => {
    const page = await open(`${collector.url}/services`);
    await red(page).getByRole("row").nth(SERVICES.length).waitFor();
    assert.deepEqual((await names(page)).toSorted(), SERVICES);
    const payments = red(page).getByRole("row", { name: /payments/ });
    const cells = await payments.getByRole("cell").allTextContents();
    assert.equal(cells[0], String(TRACES));
    // Of every tenth trace.
    assert.equal(cells[2]!.trim(), "10.0%");
    assert.match(cells[3]!, /^\d+\.\dms$/);
    assert.equal(await payments.locator("svg.sparkline").count(), 1);

    await red(page).getByRole("button", { name: "Errors" }).click();
    assert.equal((await names(page))[0], "payments");
    assert.match(page.url(), /sort=errors/);
    await red(page).getByRole("button", { name: "Service" }).click();
    assert.deepEqual(await names(page), SERVICES);
    await red(page).getByRole("button", { name: "Service" }).click();
    assert.deepEqual(await names(page), SERVICES.toReversed());
    await page.reload();
    await red(page).getByRole("row").nth(SERVICES.length).waitFor();
    assert.deepEqual(await names(page), SERVICES.toReversed());
    assert.equal(await red(page).locator("th[aria-sort=descending]").innerText(), "Service");
  },
);

browserTest("a share of errors leads to the traces that failed", async (open) => {
  const page = await open(`${collector.url}/services`);
  const leadsTo = async (search: string, text: string) => {
    await page.waitForURL(`${collector.url}/traces?service=payments${search}&errors=1`);
    await page.getByText(text, { exact: true }).waitFor();
    await page.goBack();
  };
  // Every tenth failed, and of those every third was a write.
  await red(page).getByRole("row", { name: /payments/ }).getByRole("link").click();
  await leadsTo("", `${TRACES / 10} traces`);
  await red(page).getByRole("button", { name: "payments" }).click();
  await page.getByRole("link", { name: "Failed traces" }).click();
  await leadsTo("", `${TRACES / 10} traces`);
  const operations = page.getByRole("group", { name: "Requests by Operation" });
  await operations.getByRole("row", { name: "payments.write" }).getByRole("link").last().click();
  await leadsTo("&operation=payments.write", "1 trace");
});

browserTest("who calls stands left of who is called, and a table says the same", async (open) => {
  const page = await open(`${collector.url}/services`);
  const left = async (name: string) => {
    const box = await graph(page).getByRole("button", { name: new RegExp(`^${name} `) })
      .boundingBox();
    return box!.x + box!.width;
  };
  await graph(page).waitFor();
  for (const [caller, callee] of CALLS) assert.ok(await left(caller) < await left(callee));
  const rows = page.getByRole("group", { name: "Calls" }).locator("tbody tr");
  const told = await rows.evaluateAll((all) =>
    all.map((row) => [...row.children].slice(0, 4).map((cell) => cell.textContent))
  );
  assert.deepEqual(
    told.toSorted(),
    CALLS.map(([caller, callee]) => [caller, callee, "call", String(TRACES)]).toSorted(),
  );
  await graph(page).getByRole("button", { name: /^payments 30 calls .*10\.0% errors$/ }).waitFor();
});

browserTest(
  "a service is found, chosen by key, and drawn with its neighbours; a reload keeps that",
  async (open) => {
    const page = await open(`${collector.url}/services`);
    await graph(page).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("CAR");
    await graph(page).locator(".found", { hasText: "cart" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByLabel("Depth").selectOption("1");
    for (const time of ["now", "after a reload"]) {
      await page.getByText("2 of 6 connections, around cart.").waitFor();
      assert.deepEqual((await nodes(page)).toSorted(), ["api", "cart", "redis"], time);
      const operations = page.getByRole("group", { name: "Requests by Operation" });
      await operations.getByText("cart.write").waitFor();
      assert.deepEqual(
        (await operations.locator("tbody th").allTextContents()).toSorted(),
        ["cart.read", "cart.write"],
      );
      await page.reload();
    }
    await page.getByRole("heading", { name: "cart" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { name: "cart" }).waitFor({ state: "detached" });
    await page.goto(`${collector.url}/services?calls=${TRACES + 1}`);
    await page.getByText("No connection has so many calls.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await graph(page).waitFor();
  },
);

browserTest("an error keeps what is shown, and a range without requests says so", async (open) => {
  const page = await open(`${collector.url}/services`);
  await red(page).waitFor();
  let fails = true;
  await page.route("**/api/requests?*", (route) =>
    fails
      ? route.fulfill({
        status: 500,
        contentType: "application/problem+json",
        body: JSON.stringify({ detail: "the disk <script>alert(1)</script> is gone" }),
      })
      : route.continue());
  await page.keyboard.press("r");
  const alert = page.getByRole("alert");
  await alert.getByText("500: the disk <script>alert(1)</script> is gone").waitFor();
  assert.deepEqual((await names(page)).toSorted(), SERVICES);
  fails = false;
  await alert.getByRole("button", { name: "Retry" }).click();
  await alert.waitFor({ state: "detached" });

  await page.goto(
    `${collector.url}/services?since=2000-01-01T00:00:00Z&until=2000-01-02T00:00:00Z`,
  );
  await page.getByText("No request began in this time range").waitFor();
  await page.getByRole("button", { name: "Widen the range" }).click();
  assert.doesNotMatch(page.url(), /since=2000-01-01T00/);
});

browserTest(
  "of many services the first two hundred are listed, until all are asked for",
  async (open) => {
    const page = await open(`${collector.url}/logs`);
    await page.route("**/api/requests?*", async (route) => {
      const response = await route.fetch();
      const told = await response.json();
      const groups = Array.from({ length: 300 }, (_, n) => ({
        ...told.groups[0],
        service: `s${n}`,
        requests: 1_000 - n,
      }));
      await route.fulfill({ response, json: { ...told, groups } });
    });
    await page.goto(`${collector.url}/services`);
    await page.getByText("200 of 300 rows.").waitFor();
    assert.equal((await names(page)).length, 200);
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByText("300 of 300 rows.").waitFor();
    await page.reload();
    await page.getByText("300 of 300 rows.").waitFor();
    assert.equal((await names(page)).at(-1), "s299");
    await page.getByRole("button", { name: "Show fewer" }).click();
    await page.getByText("200 of 300 rows.").waitFor();
  },
);

browserTest("links are drawn beside calls, and the table tells them apart", async (open) => {
  const page = await open(`${collector.url}/logs`);
  await page.route("**/api/service-graph?*", (route) => {
    const edge = (from: string, to: string, kind: string, calls: number) => ({
      ...{ from, to, kind, calls, errors: 0, p50Ns: "1000", p99Ns: "2000" },
    });
    const edges = [
      edge("shop", "stock", "link", 7_000),
      edge("shop", "stock", "call", 900),
      edge("stock", "mail", "link", 20),
      edge("mail", "shop", "call", 2),
    ];
    return route.fulfill({ json: { range: { since: "0", until: "1" }, edges } });
  });
  await page.goto(`${collector.url}/services`);
  await graph(page).waitFor();
  const titles = await graph(page).locator("g.edge title").allTextContents();
  assert.deepEqual(titles.toSorted(), [
    "mail → shop: 2 calls, 0 errors",
    "shop → stock: 7000 links, 0 errors",
    "shop → stock: 900 calls, 0 errors",
    "stock → mail: 20 links, 0 errors",
  ]);
  const paths = graph(page).locator("g.edge path");
  const drawn = await paths.evaluateAll((all) => all.map((one) => one.getAttribute("d")));
  assert.equal(new Set(drawn).size, 4);
  assert.equal(await graph(page).locator("g.edge.link").count(), 2);
  const table = page.getByRole("group", { name: "Calls" });
  const kinds = await table.locator("tbody td:nth-child(3)").allTextContents();
  assert.deepEqual(kinds, ["link", "call", "link", "call"]);
  await graph(page).getByRole("button", { name: "stock 900 calls · 7,000 links" }).waitFor();
});

browserTest("two hundred services are drawn around one", async (open) => {
  const page = await open(`${collector.url}/logs`);
  await page.route("**/api/service-graph?*", (route) => {
    const edges = Array.from({ length: 200 }, (_, n) => ({
      from: `s${n}`,
      to: `s${n + 1}`,
      kind: "call",
      calls: n === 7 ? 1_000_000 : 1_000 - n,
      errors: 0,
      p50Ns: "1000",
      p99Ns: "2000",
    }));
    return route.fulfill({ json: { range: { since: "0", until: "1" }, edges } });
  });
  await page.goto(`${collector.url}/services`);
  await page.getByText("There are too many services to draw them all").waitFor();
  assert.deepEqual((await nodes(page)).toSorted(), ["s6", "s7", "s8"]);
});

browserTest(
  "the page of services has no serious fault of accessibility, light or dark",
  async (open) => {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open(`${collector.url}/services?service=payments`, { colorScheme });
      await graph(page).waitFor();
      await page.getByRole("group", { name: "Requests by Operation" }).waitFor();
      assert.deepEqual(await seriousFaults(page), []);
    }
  },
);
