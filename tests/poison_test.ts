/** A record that the database refuses, among 5,000 that a running collector is sent. */

import assert from "node:assert/strict";
import { runCollector, startCollector } from "./collector_process.ts";
import { type Counted, LedgerWatch } from "./crash_ledger.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { numbers, spanId, spans } from "./requests.ts";
import { sendAll, type SentRequest } from "./send_all.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const NONE: Counted = { traces: 0, logs: 0, metrics: 0 };
const SPANS = 5_000;
const POISON = 3_210;

function request(numbers: readonly number[]): SentRequest {
  return { signal: "traces", body: new Uint8Array(spans(numbers)) };
}

/** Sends all, looks for the dead letter, takes the constraint away and replays it. */
async function poisoned(requests: readonly SentRequest[]): Promise<void> {
  await using test = await migratedDatabase("postgres");
  await using folder = await temporaryFolder();
  await test.database.execute(
    `alter table otel_data.spans add constraint no_poison check (span_id <> ${POISON})`,
  );
  const stored = async () => {
    const rows = await test.database.query<{ id: string; copies: bigint }>(
      "select span_id as id, count(*) as copies from otel.spans group by span_id",
    );
    assert.deepEqual(rows.filter(({ copies }) => copies !== 1n), []);
    return new Set(rows.map(({ id }) => id));
  };
  const options = { dataDir: folder.path, args: ["--database", test.url] };
  const deadLetters = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCollector({
      ...options,
      args: ["dead-letters", ...args, "--json", "--database", test.url],
    });
    assert.ok(code === 0 || args[0] === "replay", stderr);
    return { code, letters: stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line)) };
  };

  await using collector = await startCollector(options);
  await sendAll(collector.url, requests);
  const ledger = new LedgerWatch(() => ({ ...NONE, traces: SPANS }));
  const deadline = AbortSignal.timeout(120_000);
  const before = (await ledger.drained(collector.url, deadline)).destinations[0]!;
  assert.deepEqual([before.delivered.traces, before.dead.traces], [SPANS - 1, 1]);
  const ids = await stored();
  assert.deepEqual([ids.size, ids.has(spanId(POISON))], [SPANS - 1, false]);

  const { letters } = await deadLetters("list");
  const [{ destination, signal, count, reason }] = letters;
  assert.deepEqual([letters.length, destination, signal, count], [1, "postgres", "traces", 1]);
  assert.match(reason, /no_poison/);

  // In vain, as long as the reason is there.
  const early = await deadLetters("replay");
  assert.deepEqual([early.code, early.letters[0].outcome], [1, "refused"]);
  assert.equal((await stored()).size, SPANS - 1);
  await test.database.execute("alter table otel_data.spans drop constraint no_poison");
  const late = await deadLetters("replay");
  assert.deepEqual([late.code, late.letters[0].outcome], [0, "replayed"]);
  const whole = await stored();
  assert.deepEqual([whole.size, whole.has(spanId(POISON))], [SPANS, true]);
  assert.deepEqual((await deadLetters("list")).letters, []);
  assert.equal((await deadLetters("replay")).code, 0);
  assert.equal((await stored()).size, SPANS);
  await ledger.drained(collector.url, deadline);
}

if (drivers.includes("postgres")) {
  Deno.test("one span that the database refuses, in a request of 5,000, is a dead letter, the rest is stored; replayed it is stored, too", async () => {
    await poisoned([request(numbers(1, SPANS))]);
  });

  Deno.test("one span that the database refuses, among 5,000 requests, is a dead letter, the rest is stored; replayed it is stored, too", async () => {
    await poisoned(numbers(1, SPANS).map((number) => request([number])));
  });
}
