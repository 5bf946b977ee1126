/** The page of the pipeline, in Chromium over a collector with a forward that refuses and one that is down. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { seriousFaults } from "./accessibility.ts";
import { browserTest } from "./browser.ts";
import { startCollector } from "./collector_process.ts";
import { CALLS, sendTraffic } from "./page_traffic.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const TRACES = 10;
const SPANS = TRACES * new Set(CALLS.flat()).size;

const database = drivers.includes("postgres") ? await testDatabase("postgres") : undefined;
const folder = await temporaryFolder();
const vendor = { answer: () => new Response("no such tenant", { status: 400 }) };
const vendorServer = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => {
    await request.body?.cancel();
    return vendor.answer();
  },
);
const collector = await startCollector({
  dataDir: folder.path,
  env: {
    OTEL_STORAGE_FORWARD: `vendor=http://127.0.0.1:${vendorServer.addr.port},` +
      `backup=http://127.0.0.1:${closedPort()}`,
    ...database === undefined ? {} : { DATABASE_URL: database.url },
  },
});
// What the vendor says makes two groups of letters.
await sendTraffic(collector.url, TRACES);
await letters(1);
vendor.answer = () => new Response("<b>too old</b>", { status: 422 });
await sendTraffic(collector.url, TRACES);
await letters(2);

Deno.test.afterAll(async () => {
  await collector[Symbol.asyncDispose]();
  await vendorServer.shutdown();
  await database?.[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A port that nobody listens on. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

interface Stats {
  readonly deadLetters: { readonly letters: number };
  readonly destinations: {
    readonly name: string;
    readonly breaker: string;
    readonly pending: Record<string, number>;
    readonly delivered: Record<string, number>;
  }[];
}

async function stats(): Promise<Stats> {
  return await (await fetch(`${collector.url}/api/stats`)).json();
}

/** Waits until there are so many letters and the database has everything. */
async function letters(count: number): Promise<void> {
  while (true) {
    const { deadLetters, destinations: [storage] } = await stats();
    if (deadLetters.letters === count && storage!.pending.traces === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const part = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
const letterRow = (page: Page, reason: string) =>
  part(page, "Dead letters").getByRole("row").filter({ hasText: reason });

browserTest("what was received is what is stored, waits, was rejected or dropped", async (open) => {
  const page = await open(`${collector.url}/pipeline`);
  const accounting = part(page, "Accounting");
  const row = accounting.getByRole("row", { name: /^spans/i });
  await row.waitFor();
  const cells = (await row.getByRole("cell").allTextContents()).map(Number);
  assert.deepEqual(cells, [2 * SPANS, 2 * SPANS, 0, 0, 0, 0, 0]);
  await accounting.getByText("Balanced: every record that was received").waitFor();

  const ledger = part(page, "Ledger");
  await ledger.getByText("Balanced: each destination has").waitFor();
  const rows = await ledger.locator("tbody tr").evaluateAll((all) =>
    all.map((one) => [...one.children].map((cell) => cell.textContent))
  );
  const spans = rows.filter(([, records]) => records === "spans");
  assert.deepEqual(
    spans,
    [
      ["postgres", "spans", 2 * SPANS, 2 * SPANS, 0, 0, 0, 0],
      ["vendor", "spans", 2 * SPANS, 0, 0, 2 * SPANS, 0, 0],
      ["backup", "spans", 2 * SPANS, 0, 2 * SPANS, 0, 0, 0],
    ].map((cells) => cells.map(String)),
  );
});

browserTest("a ledger that does not balance says so in words", async (open) => {
  const page = await open(`${collector.url}/logs`);
  await page.route("**/api/stats", async (route) => {
    const response = await route.fetch();
    const told = await response.json();
    told.destinations[0].delivered.traces -= 3;
    told.destinations[1].delivered.logs += 1;
    await route.fulfill({ response, json: told });
  });
  await page.goto(`${collector.url}/pipeline`);
  await page.getByText("The account does not balance: 3 spans are unaccounted for.").waitFor();
  await page.getByText("The ledger of postgres does not balance: 3 spans are unaccounted for.")
    .waitFor();
  await page.getByText("The ledger of vendor does not balance: 1 log record is counted twice.")
    .waitFor();
  assert.equal(await page.getByText("Balanced:").count(), 0);
});

browserTest(
  "a destination that is down has an open breaker, since when, when it is tried, and why",
  async (open) => {
    const page = await open(`${collector.url}/pipeline`);
    const row = (name: string) =>
      part(page, "Destinations").getByRole("row").filter({
        has: page.getByRole("rowheader", { name }),
      });
    await row("backup").getByText("Open: it is left alone").waitFor();
    await row("postgres").getByText("Closed: it delivers").waitFor();
    const cells = await row("backup").getByRole("cell").allTextContents();
    assert.match(cells[1]!, /^(\d+[hm] )?\S+[ms] ago$/);
    assert.match(cells[3]!, /^in \S+/);
    assert.match(cells[4]!, new RegExp(`^${2 * SPANS} · .* KiB$`));
    assert.match(cells[5]!, /s$/);
    assert.match(cells[7]!, /refused/i);
    assert.match(await row("vendor").getByRole("cell").nth(4).innerText(), /^0$/);
  },
);

browserTest("a dead letter is looked at; what it says is shown as text", async (open) => {
  const page = await open(`${collector.url}/pipeline`);
  await letterRow(page, "<b>too old</b>").getByRole("button", { name: "Sample" }).click();
  const details = page.getByRole("complementary", { name: "Details" });
  await details.getByText("payments.read").first().waitFor();
  await details.getByText(`${SPANS} spans`).waitFor();
  // It scrolls, also for who has only keys.
  await details.getByRole("group", { name: "Body" }).focus();
  assert.deepEqual(await seriousFaults(page), []);
  await page.reload();
  await details.getByText("payments.read").first().waitFor();
  await page.keyboard.press("Escape");
  await details.waitFor({ state: "detached" });
});

browserTest(
  "the page of the pipeline has no serious fault of accessibility, light or dark",
  async (open) => {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open(`${collector.url}/pipeline`, { colorScheme });
      await letterRow(page, "too old").waitFor();
      await part(page, "Partitions").getByRole("table").waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      await letterRow(page, "too old").getByRole("button", { name: "Discard…" }).click();
      await page.getByRole("dialog").getByRole("textbox").waitFor();
      assert.deepEqual(await seriousFaults(page), []);
    }
  },
);

browserTest(
  "letters are replayed as a group: refused again they stay, taken they are gone",
  async (open) => {
    const page = await open(`${collector.url}/pipeline`);
    const replay = async () => {
      await letterRow(page, "no such tenant").getByRole("button", { name: "Replay…" }).click();
      const dialog = page.getByRole("dialog", { name: "Replay dead letters" });
      await dialog.getByText(`This gives 1 letter with ${SPANS} spans to vendor once more`)
        .waitFor();
      await dialog.getByRole("button", { name: "Replay 1" }).click();
      return dialog;
    };
    const refused = await replay();
    await refused.getByText("0 of 1 replayed, 1 refused again").waitFor();
    await refused.getByRole("button", { name: "Close" }).click();
    await letterRow(page, "no such tenant").waitFor();

    vendor.answer = () => new Response();
    const taken = await replay();
    await taken.getByText("1 of 1 replayed.").waitFor();
    await taken.getByRole("button", { name: "Close" }).click();
    await letterRow(page, "no such tenant").waitFor({ state: "detached" });
    await letterRow(page, "too old").waitFor();
    assert.equal((await stats()).deadLetters.letters, 1);
  },
);

browserTest("letters are not discarded without the typed word", async (open) => {
  const page = await open(`${collector.url}/pipeline`);
  await letterRow(page, "too old").getByRole("button", { name: "Discard…" }).click();
  const dialog = page.getByRole("dialog", { name: "Discard dead letters" });
  await dialog.getByText(`This removes 1 letter with ${SPANS} spans for vendor for good`).waitFor();
  const confirm = dialog.getByRole("button", { name: "Discard 1" });
  const word = dialog.getByRole("textbox");
  for (const text of ["", "Discard", "discard "]) {
    await word.fill(text);
    assert.equal(await confirm.isDisabled(), true, text);
    await word.press("Enter");
  }
  assert.equal((await stats()).deadLetters.letters, 1);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal((await stats()).deadLetters.letters, 1);

  await letterRow(page, "too old").getByRole("button", { name: "Discard…" }).click();
  await word.fill("discard");
  await confirm.click();
  await dialog.getByText("1 of 1 discarded.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await letterRow(page, "too old").waitFor({ state: "detached" });
  assert.equal((await stats()).deadLetters.letters, 0);
});

browserTest("letters of one reason are one group, whatever is in them", async (open) => {
  vendor.answer = () => new Response("no such tenant", { status: 400 });
  await sendTraffic(collector.url, TRACES);
  const log = { body: { stringValue: "order shipped" } };
  const sent = await fetch(`${collector.url}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [log] }] }] }),
  });
  assert.equal(sent.status, 200, await sent.text());
  await letters(2);
  const page = await open(`${collector.url}/pipeline`);
  const row = letterRow(page, "no such tenant");
  await row.filter({ hasText: `${SPANS} spans` }).filter({ hasText: "1 log record" }).waitFor();
  assert.equal(await row.count(), 1);
  vendor.answer = () => new Response();
  await page.getByRole("button", { name: /^Replay… vendor: .*no such tenant$/ }).click();
  const dialog = page.getByRole("dialog", { name: "Replay dead letters" });
  await dialog.getByText(`This gives 2 letters with ${SPANS} spans and 1 log record to vendor`)
    .waitFor();
  await dialog.getByRole("button", { name: "Replay 2" }).click();
  await dialog.getByText("2 of 2 replayed.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await row.waitFor({ state: "detached" });
  assert.equal((await stats()).deadLetters.letters, 0);
});

browserTest("partitions have their range, rows, size and when they go", async (open) => {
  const page = await open(`${collector.url}/pipeline`);
  const partitions = part(page, "Partitions");
  const current = partitions.getByRole("row", { name: /^traces/ }).filter({ hasText: "open" });
  await current.waitFor();
  const cells = await current.getByRole("cell").allTextContents();
  const [from, to, , size, , drops] = cells;
  const at = (text: string) => Date.parse(`${text.replace(" ", "T")}Z`);
  assert.ok(at(from!) <= Date.now() && Date.now() < at(to!));
  // The retention is thirty days unless it is set.
  assert.equal(at(drops!) - at(to!), 30 * 86_400_000);
  assert.match(size!, /KiB$/);
  await partitions.getByRole("row", { name: /^logs any other time/ }).getByText("never").waitFor();
});

browserTest("when the collector goes, what was shown stays and says so", async (open) => {
  const page = await open(`${collector.url}/pipeline`);
  await part(page, "Accounting").waitFor();
  await page.route("**/api/**", (route) => route.abort());
  await page.getByRole("alert").getByText("What is shown is from before.").first().waitFor();
  await part(page, "Accounting").getByText("Balanced").waitFor();
  await page.unroute("**/api/**");
  await page.getByRole("alert").first().waitFor({ state: "detached" });
});
