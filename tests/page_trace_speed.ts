/**
 * A long trace, and how fast the page shows it and scrolls through it, as Chromium tells.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";

const SERVICES = ["web", "api", "cart", "payments", "search", "ledger", "mail", "stock"];
const BATCH = 2_500;

/** Sends a trace of so many spans as programs make them: nested, with attributes and events. */
export async function sendLongTrace(url: string, traceId: string, count: number): Promise<void> {
  const start = BigInt(Date.now() - 600_000) * 1_000_000n;
  for (let from = 0; from < count; from += BATCH) {
    const resourceSpans = SERVICES.map((service, of) => ({
      resource: {
        attributes: [text("service.name", service), text("host.name", `${service}-1`)],
      },
      scopeSpans: [{
        scope: { name: "tests" },
        spans: places(from, Math.min(count, from + BATCH))
          .filter((at) => serviceOf(at) === of).map((at) => spanAt(traceId, start, at, count)),
      }],
    }));
    const response = await fetch(`${url}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ resourceSpans }),
    });
    assert.equal(response.status, 200, await response.text());
  }
  while (true) {
    const { destinations: [storage] } = await (await fetch(`${url}/api/stats`)).json();
    if (storage.pending.traces === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function places(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

/** Of each ten spans one has nine children: the tree is as deep as counts have digits. */
function parentOf(at: number): number {
  return Math.floor((at - 1) / 10);
}

function serviceOf(at: number): number {
  return (String(at).length * 3 + at % 2) % SERVICES.length;
}

function spanAt(traceId: string, start: bigint, at: number, count: number): unknown {
  const from = start + BigInt(at) * 1_000_000n;
  return {
    traceId,
    spanId: hex(at + 1),
    parentSpanId: at === 0 ? "" : hex(parentOf(at) + 1),
    name: at % 3 === 0 ? "SELECT carts" : `GET /cart/items/${at % 17}`,
    kind: at % 3 === 0 ? 3 : 2,
    startTimeUnixNano: String(from),
    endTimeUnixNano: String(from + BigInt(Math.ceil(count / (at + 1))) * 1_000_000n),
    attributes: [
      text("http.request.method", "GET"),
      text("url.full", `https://shop.example/cart/items/${at}?session=${hex(at * 7)}`),
      text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"),
      text("db.query.text", "select id, name, price from items where cart = $1 order by added"),
      text("thread.name", `worker-${at % 32}`),
      { key: "item.number", value: { intValue: String(at) } },
    ],
    events: at % 10 === 0
      ? [{ timeUnixNano: String(from + 100n), name: "cache miss", attributes: [text("key", "c")] }]
      : [],
    status: at % 100 === 99 ? { code: 2, message: "deadline exceeded" } : {},
  };
}

function text(key: string, stringValue: string): unknown {
  return { key, value: { stringValue } };
}

function hex(value: number): string {
  return value.toString(16).padStart(16, "0");
}

/** What was measured. */
export interface TraceSpeed {
  readonly loaded: {
    /** From the start of the navigation to the first paint of anything. */
    readonly firstPaintMs: number;
    /** From the last byte of the trace to the first paint of its rows. */
    readonly rowsMs: number;
    /** From the start of the navigation to the first paint of its rows. */
    readonly allMs: number;
    /** How long the collector took to answer. */
    readonly answerMs: number;
    readonly longestTaskMs: number;
    readonly elements: number;
  };
  /** While it was scrolled. */
  readonly scrolled: {
    readonly elements: number;
    readonly longestTaskMs: number;
    /** The longest time between two frames, and between those of the wheel. */
    readonly longestFrameMs: number;
    readonly longestWheelFrameMs: number;
    readonly frames: number;
    /** Where it ended, in pixels. */
    readonly scrolledTo: number;
  };
}

/** Writes down long tasks, and when the first row was painted. */
const WATCH = `
  globalThis.seen = { rowsMs: 0, tasks: [], ...Promise.withResolvers() };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.tasks.push(duration);
  }).observe({ type: "longtask", buffered: true });
  const watch = new MutationObserver(() => {
    if (document.querySelector(".span-rows [role=row]") === null) return;
    watch.disconnect();
    // What comes behind the frame, comes behind its paint.
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        seen.rowsMs = performance.now();
        seen.resolve();
      };
      channel.port2.postMessage("");
    });
  });
  watch.observe(document, { childList: true, subtree: true });
`;

const LOADED = `(() => {
  const [answer] = performance.getEntriesByType("resource")
    .filter(({ name }) => name.includes("/api/traces/"));
  return {
    firstPaintMs: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    rowsMs: seen.rowsMs - answer.responseEnd,
    allMs: seen.rowsMs,
    answerMs: answer.responseEnd - answer.startTime,
    longestTaskMs: Math.max(0, ...seen.tasks),
    elements: document.querySelectorAll("*").length,
  };
})()`;

/** A few notches of a wheel a frame, then leaps to anywhere. */
const SCROLL = `(async () => {
  seen.tasks = [];
  const rows = document.querySelector(".span-rows");
  const nextFrame = () => new Promise(requestAnimationFrame);
  const frames = [];
  let elements = 0;
  let last = await nextFrame();
  for (let step = 0; step < 240; step++) {
    if (step < 180) rows.scrollTop += 120;
    else rows.scrollTop = rows.scrollHeight * (step * 37 % 60) / 60;
    const now = await nextFrame();
    frames.push(now - last);
    last = now;
    if (step % 20 === 0) elements = Math.max(elements, document.querySelectorAll("*").length);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    elements,
    longestTaskMs: Math.max(0, ...seen.tasks),
    longestFrameMs: Math.max(...frames),
    longestWheelFrameMs: Math.max(...frames.slice(0, 180)),
    frames: frames.length,
    scrolledTo: rows.scrollTop,
  };
})()`;

/** Opens a trace on a page that is blank, and scrolls through it. */
export async function measureTrace(page: Page, address: string): Promise<TraceSpeed> {
  await page.addInitScript({ content: WATCH });
  await page.goto(address);
  await page.evaluate("seen.promise");
  const loaded = await page.evaluate<TraceSpeed["loaded"]>(LOADED);
  const scrolled = await page.evaluate<TraceSpeed["scrolled"]>(SCROLL);
  return { loaded, scrolled };
}
