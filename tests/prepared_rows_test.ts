/** Rows that were made when a request came: the same as those made from the journal, or not used. */

import assert from "node:assert/strict";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { PreparedRows, type RequestOfJournal } from "../src/postgres/prepared_rows.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import type { Signal } from "../src/record.ts";
import { columnsOf } from "./batch_rows.ts";
import { logs, numbers, points, spans } from "./requests.ts";

const ARRIVAL = 1_764_000_000_000_000_000n;

function prepared(maxBytes?: number, clock?: () => number): PreparedRows {
  const transcoder = new Transcoder(new Dimensions(() => 1_764_000_000_000));
  return new PreparedRows(transcoder, maxBytes, clock);
}

function request(signal: Signal, body: Uint8Array, position: bigint): RequestOfJournal {
  return { signal, body, arrivalUnixNano: ARRIVAL, position };
}

/** All that a batch says of itself. */
function contents(batch: Batch): unknown {
  return {
    rows: batch.signals.map((rows) => ({
      columns: columnsOf(rows),
      terms: [...new Set(rows.parts.flatMap(({ terms }) => [...terms]))].sort(),
      count: rows.count,
      replaced: rows.replaced,
      hours: [...rows.hours].sort(),
    })),
    dimensions: batch.dimensions.all.map(({ table, values }) => ({ table, values })),
    dimensionBytes: batch.dimensions.bytes,
    replaced: batch.replaced,
  };
}

/** What the same requests make when nothing was prepared. */
function afresh(requests: readonly RequestOfJournal[]): unknown {
  const rows = prepared();
  const batch = new Batch();
  for (const one of requests) rows.append(one, batch);
  return contents(batch);
}

const TIME = { time: ARRIVAL };
const REQUESTS = [
  request("traces", spans([1, 2], { ...TIME, statusMessage: "a NUL: \0" }), 0n),
  request("logs", logs([1], TIME), 100n),
  request("metrics", points([1, 2, 3], TIME), 200n),
  request("traces", spans([3], { ...TIME, name: "other", service: "\0" }), 300n),
  request("traces", spans([4], { time: ARRIVAL + 86_400_000_000_000n }), 400n),
];

Deno.test("rows that were prepared are those that would be made, with all that they name", () => {
  const rows = prepared();
  for (const { signal, body, arrivalUnixNano, position } of REQUESTS) {
    rows.check(signal, body, arrivalUnixNano).keep(position!);
  }
  const batch = new Batch();
  for (const one of REQUESTS) rows.append(one, batch);
  assert.deepEqual(contents(batch), afresh(REQUESTS));
  assert.deepEqual(rows.stats, { used: 5, made: 0, bytes: 0 });
});

Deno.test("rows that are asked for again are made anew, as are those of a part of a request", () => {
  const rows = prepared();
  const [first] = REQUESTS;
  rows.check(first!.signal, first!.body, ARRIVAL).keep(0n);
  const { position: _, ...part } = first!;
  for (const [asked, stats] of [[part, [0, 1]], [first, [1, 1]], [first, [1, 2]]] as const) {
    const batch = new Batch();
    rows.append(asked!, batch);
    assert.deepEqual(contents(batch), afresh([first!]));
    assert.deepEqual([rows.stats.used, rows.stats.made], stats);
  }
});

Deno.test("rows of a request that was passed by are let go", () => {
  const rows = prepared();
  for (const { signal, body, position } of REQUESTS) {
    rows.check(signal, body, ARRIVAL).keep(position!);
  }
  rows.append(REQUESTS[3]!, new Batch());
  rows.append(REQUESTS[1]!, new Batch());
  assert.deepEqual([rows.stats.used, rows.stats.made], [1, 1]);
  rows.append(REQUESTS[4]!, new Batch());
  assert.equal(rows.stats.bytes, 0);
});

Deno.test("rows beyond the bound are not kept, and nothing else is lost", () => {
  const rows = prepared(10_000);
  rows.append(REQUESTS[0]!, new Batch());
  const requests = numbers(0, 100).map((n) =>
    request("traces", spans(numbers(n * 10 + 1, 10), TIME), BigInt(n))
  );
  for (const { signal, body, position } of requests) {
    rows.check(signal, body, ARRIVAL).keep(position!);
    assert.ok(rows.stats.bytes <= 10_000);
  }
  const batch = new Batch();
  for (const one of requests) rows.append(one, batch);
  assert.deepEqual(contents(batch), afresh(requests));
  assert.ok(rows.stats.used > 0 && rows.stats.made > 0);
});

Deno.test("rows made before the database was forgotten bring along what they name, or are not used", () => {
  const rows = prepared();
  const [first, second] = [request("traces", spans([1], TIME), 0n), REQUESTS[3]!];
  const early = rows.check(second.signal, second.body, ARRIVAL);
  rows.check(first.signal, first.body, ARRIVAL).keep(0n);
  rows.forget();
  early.keep(300n);
  const batch = new Batch();
  rows.append(first, batch);
  rows.append(second, batch);
  assert.deepEqual(contents(batch), afresh([first, second]));
  assert.equal(rows.stats.used, 0);
});

Deno.test("what is being checked takes nothing of a batch that is being filled", () => {
  const rows = prepared();
  const batch = new Batch();
  const [first, , , other] = REQUESTS;
  rows.append(first!, batch);
  // They name what the batch has gathered and the database does not have yet.
  rows.check("traces", spans([9], { ...TIME, statusMessage: "\0" }), ARRIVAL);
  rows.append(other!, batch);
  rows.append({ ...first!, position: 500n }, batch);
  assert.deepEqual(contents(batch), afresh([first!, other!, first!]));
});

/** Whether a promise settles without more than what is under way. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  return settled;
}

Deno.test("requests wait for a delivery that is behind, until it has caught up, has stopped, or not long", async () => {
  let now = 0;
  const rows = prepared(10_000, () => now);
  const requests = numbers(0, 6).map((n) =>
    request("traces", spans(numbers(n * 10 + 1, 10), TIME), BigInt(n))
  );
  const batch = new Batch();
  const { position: _, ...part } = requests[0]!;
  const keepAll = () => {
    for (const { signal, body, position } of requests) {
      rows.check(signal, body, ARRIVAL).keep(position!);
    }
  };
  // Nobody has asked for any: little is kept, and there is no delivery to wait for.
  keepAll();
  assert.ok(rows.stats.bytes <= 1_250);
  await rows.room();
  rows.append(part, batch);
  keepAll();
  assert.ok(rows.stats.bytes > 5_000);

  const reason = new Error("gone");
  const giveUp = new AbortController();
  const [gone, patient] = [rows.room(giveUp.signal), rows.room()];
  assert.deepEqual([await isSettled(gone), await isSettled(patient)], [false, false]);
  giveUp.abort(reason);
  await assert.rejects(gone, reason);
  await assert.rejects(rows.room(giveUp.signal), reason);
  while (rows.stats.bytes > 5_000) {
    assert.equal(await isSettled(patient), false);
    rows.append(requests[rows.stats.used]!, batch);
  }
  assert.equal(await isSettled(patient), true);

  for (const { signal, body, position } of requests) {
    rows.check(signal, body, ARRIVAL).keep(position! + 100n);
  }
  now += 999;
  // A quarter of a second, whatever the delivery does.
  await rows.room();
  now += 1;
  assert.equal(await isSettled(rows.room()), true);
});
