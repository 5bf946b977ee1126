/** The page of metrics, in Chromium over a collector. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./browser.ts";
import { startCollector } from "./collector_process.ts";
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
const MINUTE = 60_000_000_000n;
const MINUTES = 40;
/** The first point. */
const FIRST = BigInt(Date.now()) * 1_000_000n - BigInt(MINUTES + 5) * MINUTE;
const BOUNDS = [0.01, 0.05, 0.1, 0.5, 1, 5];
const HOSTILE = "<img src=x onerror=alert(1)>";

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** A point of each minute. */
const points = (make: (at: string, minute: number) => object) =>
  Array.from({ length: MINUTES }, (_, n) => make(String(FIRST + BigInt(n) * MINUTE), n));

function metricsOf(service: string, speed: number) {
  const attributes = [
    text("http.route", service === "shop" ? "/cart" : HOSTILE),
    text('the "data" centre', `centre of ${service}`),
  ];
  const start = String(FIRST - MINUTE);
  const common = (at: string) => ({ attributes, startTimeUnixNano: start, timeUnixNano: at });
  return {
    resource: { attributes: [text("service.name", service)] },
    scopeMetrics: [{
      metrics: [
        {
          name: "requests",
          unit: "{request}",
          sum: {
            aggregationTemporality: 2,
            isMonotonic: true,
            dataPoints: points((at, n) => ({
              ...common(at),
              asInt: String((n + 1) * 60 * speed),
            })),
          },
        },
        {
          name: "http.server.request.duration",
          unit: "s",
          histogram: {
            aggregationTemporality: 1,
            dataPoints: points((at, n) => ({
              ...common(at),
              startTimeUnixNano: String(BigInt(at) - MINUTE),
              count: "100",
              sum: 20,
              explicitBounds: BOUNDS,
              bucketCounts: ["10", "50", "20", "10", "5", "5", "0"],
              exemplars: service === "shop" && n === 20
                ? [{ timeUnixNano: at, asDouble: 1.5, traceId: TRACE_ID, spanId: SPAN_ID }]
                : [],
            })),
          },
        },
        {
          name: "memory.used",
          unit: "By",
          gauge: {
            dataPoints: points((at, n) => ({ ...common(at), asInt: String(1024 * (n + 1)) })),
          },
        },
      ],
    }],
  };
}

const response = await fetch(`${collector.url}/v1/metrics`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ resourceMetrics: [metricsOf("shop", 10), metricsOf("mail", 2)] }),
});
assert.equal(response.status, 200, await response.text());
while (true) {
  const { destinations: [storage] } = await (await fetch(`${collector.url}/api/stats`)).json();
  if (storage.pending.metrics === 0) break;
  await new Promise((resolve) => setTimeout(resolve, 20));
}

const items = (page: Page) => page.getByRole("listitem").getByRole("link");
const row = (page: Page, name: string) =>
  page.getByRole("group", { name: "Values of the series" }).getByRole("row", { name });
const cells = (page: Page, name: string) => row(page, name).getByRole("cell").allInnerTexts();

browserTest(
  "the list leads to a metric, whose values stand in a chart and as text",
  async (open) => {
    const page = await open(`${collector.url}/charts`);
    await items(page).nth(2).waitFor();
    assert.deepEqual(
      (await items(page).allInnerTexts()).map((item) => item.split("\n")),
      [
        ["http.server.request.duration", "histogram · s · 2 series"],
        ["memory.used", "gauge · By · 2 series"],
        ["requests", "sum · {request} · 2 series"],
      ],
    );
    await page.getByLabel("A part of the name").fill("REQ");
    await items(page).nth(2).waitFor({ state: "detached" });
    await page.getByRole("link", { name: /^requests/ }).click();
    await row(page, "service=shop").waitFor();
    assert.deepEqual(await cells(page, "service=shop"), ["—", "10/s", "10/s", "10/s", "10/s"]);
    assert.deepEqual(await cells(page, "service=mail"), ["—", "2/s", "2/s", "2/s", "2/s"]);
    assert.equal(await page.locator(".chart canvas").count(), 1);

    await page.getByLabel("Group").selectOption({ label: "All series as one" });
    await row(page, "all series").waitFor();
    assert.equal((await cells(page, "all series"))[1], "12/s");
    await page.getByLabel("Function").selectOption("increase");
    await row(page, "all series").getByRole("cell", { name: "720" }).first().waitFor();
    await page.reload();
    await row(page, "all series").getByRole("cell", { name: "720" }).first().waitFor();

    await page.getByLabel("Group").selectOption({ label: "by http.route" });
    await row(page, `http.route=${HOSTILE}`).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    await page.getByLabel("Group").selectOption({ label: 'by the "data" centre' });
    await page.getByText("centre of mail").first().waitFor();
    await page.getByLabel("Group").selectOption({ label: "by http.route" });
    await row(page, `http.route=${HOSTILE}`).waitFor();
    await page.getByLabel("Filter").fill("service = shop");
    await page.keyboard.press("Enter");
    await row(page, `http.route=${HOSTILE}`).waitFor({ state: "detached" });
    await row(page, "http.route=/cart").waitFor();
  },
);

browserTest("keys move in the list and open a metric", async (open) => {
  const page = await open(`${collector.url}/charts`);
  await items(page).nth(2).waitFor();
  await page.locator("body").press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "memory.used" }).waitFor();
  await row(page, "service=shop").waitFor();
  assert.match((await cells(page, "service=shop"))[1]!, /^\d\d\.\d KiB$/);
});

const HISTOGRAM =
  "/charts?metric=http.server.request.duration&type=histogram&unit=s&temporality=DELTA";

browserTest("an exemplar is a dot at its value that opens its span", async (open) => {
  const page = await open(collector.url + HISTOGRAM);
  await row(page, "service=shop p50").waitFor();
  // Half of them are at most 0.01 + 0.04 × 40/50.
  assert.equal((await cells(page, "service=shop p50"))[1], "42.0ms");
  const mark = page.getByRole("link", { name: /^Exemplar 1\.50s/ });
  await mark.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/traces/${TRACE_ID}\\?span=${SPAN_ID}`));
});

browserTest("a heat map shows what each bucket holds, and a box the traces in it", async (open) => {
  const page = await open(collector.url + HISTOGRAM);
  const map = page.getByRole("img", { name: /^Heat map of sizes/ });
  await map.waitFor();
  // What comes above it moves it down.
  await row(page, "service=shop p50").waitFor();
  // The last bucket is empty, and so is not there: six rows.
  assert.match(
    (await map.getAttribute("aria-label"))!,
    /^Heat map of sizes, up to 10\.0ms at the foot, 1\.00s to 5\.00s at the top, at most 100 in/,
  );
  const legend = page.locator(".heat-step");
  assert.deepEqual(await legend.allInnerTexts(), ["0", "1", "3", "5", "10", "22", "47"]);
  // 100 of the service each minute, and of the other one: of 200 there are 20 up to 0.01, 100 up to
  // 0.05, 40 up to 0.1, 20 up to 0.5, 10 up to 1 and 10 up to 5.
  const levels = await legend.locator("i").evaluateAll((steps) =>
    steps.map((step) => step.ownerDocument.defaultView!.getComputedStyle(step).backgroundColor)
  );
  const drawn = await page.evaluate<string[]>(`(() => {
    const canvas = document.querySelector(".heat canvas");
    const at = (y) => {
      const x = Math.round(canvas.width * 0.5);
      const [r, g, b, a] = canvas.getContext("2d").getImageData(x, Math.round(y), 1, 1).data;
      return a === 0 ? "none" : \`rgb(\${r}, \${g}, \${b})\`;
    };
    return [0, 1, 2, 3, 4, 5].map((row) => at(canvas.height * (1 - (row + 0.5) / 6)));
  })()`);
  assert.deepEqual(
    drawn,
    [20, 100, 40, 20, 10, 10].map((count) =>
      levels[[0, 1, 3, 5, 10, 22, 47].findLastIndex((least) => count >= least)]
    ),
  );
  const corner = await page.evaluate<number>(
    'document.querySelector(".heat canvas").getContext("2d").getImageData(2, 2, 1, 1).data[3]',
  );
  // Nothing was measured in the first minutes: what is behind shows.
  assert.equal(corner, 0);

  const heat = page.getByRole("region", { name: "Heat map" });
  await heat.getByText("As a table").click();
  const sums = heat.getByRole("group", { name: "Measurements by size" }).getByRole("row");
  assert.deepEqual(
    (await sums.allInnerTexts()).slice(1).map((text) => text.split("\t").slice(0, 2)),
    [
      ["1.00s to 5.00s", "400"],
      ["500ms to 1.00s", "400"],
      ["100ms to 500ms", "800"],
      ["50.0ms to 100ms", "1,600"],
      ["10.0ms to 50.0ms", "4,000"],
      ["up to 10.0ms", "800"],
    ],
  );
  const box = (await map.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 5.5 / 6);
  await heat.getByText(/^\d\d:\d\d:\d\d, up to 10\.0ms: 20$/).waitFor();

  // From the middle of the second row from the top to that of the third.
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 1.5 / 6);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 2.5 / 6, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/\/traces\?/);
  const { since, until, min, max } = Object.fromEntries(new URL(page.url()).searchParams);
  assert.ok(Math.abs(Number(BigInt(until!) - BigInt(since!)) / 1e9 - 360) < 10);
  assert.deepEqual([min, max], ["100ms", "1000ms"]);
  await page.goBack();
  await heat.getByText("As a table").click();
  await heat.getByRole("row", { name: "up to 10.0ms" }).getByRole("link").click();
  await page.waitForURL(/\/traces\?.*max=10ms/);
  assert.equal(new URL(page.url()).searchParams.get("min"), null);
});

browserTest("the traces of a heat map are those of its filter", async (open) => {
  const filter = 'service = shop and http.route = "/cart"';
  const page = await open(`${collector.url}${HISTOGRAM}&filter=${encodeURIComponent(filter)}`);
  const map = page.getByRole("img", { name: /^Heat map of sizes/ });
  await map.waitFor();
  // What comes above it moves it down.
  await row(page, "service=shop p50").waitFor();
  const box = (await map.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 1.5 / 6);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 2.5 / 6, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/\/traces\?/);
  assert.equal(new URL(page.url()).searchParams.get("query"), filter);
  // The filter of series is one that traces take.
  await page.getByText("No trace matches").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
  await page.goBack();
  const heat = page.getByRole("region", { name: "Heat map" });
  await heat.getByText("As a table").click();
  await heat.getByRole("row", { name: "up to 10.0ms" }).getByRole("link").click();
  await page.waitForURL(/\/traces\?.*max=10ms/);
  assert.equal(new URL(page.url()).searchParams.get("query"), filter);
});

browserTest("dragging over a chart zooms; Backspace and a button undo it", async (open) => {
  const page = await open(`${collector.url}/charts?metric=memory.used&type=gauge&unit=By`);
  // The least of the whole range, which no part of it has that is zoomed to.
  const whole = row(page, "service=shop").getByRole("cell", { name: "1.00 KiB" });
  await whole.waitFor();
  const zoomOut = page.getByRole("button", { name: "Zoom out" });
  const undo = [() => page.locator("body").press("Backspace"), () => zoomOut.click()];
  // The second one has no values: the chart is not there, the button is.
  for (const [at, [from, to]] of [[0.4, 0.6], [0.96, 0.99]].entries()) {
    const box = (await page.locator(".u-over").boundingBox())!;
    await page.mouse.move(box.x + box.width * from!, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to!, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/since=\d+&until=\d+/);
    // What was shown before stays until there is an answer.
    await whole.waitFor({ state: "detached" });
    if (at === 1) await page.getByRole("heading", { name: "No values" }).waitFor();
    await undo[at]!();
    await page.waitForURL((url) => !url.searchParams.has("since"));
    await whole.waitFor();
  }
  assert.equal(await zoomOut.count(), 0);
});

browserTest(
  "exemplars that come late leave the chart, and who drags over it, alone",
  async (open) => {
    const page = await open(`${collector.url}/logs`);
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    await page.route(/\/api\/exemplars/, async (route) => {
      asked.resolve();
      await answered.promise;
      await route.continue();
    });
    await page.goto(collector.url + HISTOGRAM);
    await asked.promise;
    const box = (await page.locator(".u-over").boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.4, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 4 });
    answered.resolve();
    await page.getByRole("link", { name: /^Exemplar 1\.50s/ }).waitFor();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/since=\d+&until=\d+/);
    // A fifth of an hour, not only what was dragged over before they came.
    const { since, until } = Object.fromEntries(new URL(page.url()).searchParams);
    const seconds = Number(BigInt(until!) - BigInt(since!)) / 1e9;
    assert.ok(Math.abs(seconds - 720) < 20, `${seconds} s`);
  },
);

browserTest("an API that fails or is slow says so where the chart is", async (open) => {
  const page = await open(
    `${collector.url}/charts?metric=memory.used&type=gauge&unit=By&function=nothing`,
  );
  await page.getByRole("alert").getByText(/^400: .*function/).first().waitFor();
  await page.getByLabel("Function").selectOption("max");
  await row(page, "service=shop").waitFor();

  const asked = Promise.withResolvers<void>();
  await page.route(/\/api\/metrics\/memory/, () => asked.resolve());
  await page.locator("body").press("r");
  await asked.promise;
  const chart = page.getByRole("region", { name: "Chart" });
  await chart.getByRole("button", { name: "Cancel" }).click();
  await chart.getByRole("alert").getByText("What is shown is from before.").waitFor();
  assert.ok(await row(page, "service=shop").isVisible());
});
