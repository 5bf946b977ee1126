import assert from "node:assert/strict";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery, type DeliveryStats } from "../src/delivery.ts";
import { ForwardSink } from "../src/forward.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { jsonToProtobuf } from "../src/otlp.ts";
import { noCounts } from "../src/sink.ts";
import { assertLedger, HeldTime, settled, until } from "./delivery_harness.ts";
import { LetterFiles } from "./letter_files.ts";
import { type Behaviour, misbehavingServer } from "./misbehaving_server.ts";

const spans = (names: string[]) =>
  jsonToProtobuf(
    "traces",
    JSON.stringify({
      resourceSpans: [{ scopeSpans: [{ spans: names.map((name) => ({ name })) }] }],
    }),
  );

/** What a delivery of three requests of 1, 2 and 3 spans comes to. */
interface Outcome {
  readonly delivered?: number;
  readonly dead?: number;
  readonly pending?: number;
  readonly waitMs?: number;
  readonly error?: RegExp;
  readonly breaker?: DeliveryStats["breaker"];
  readonly rejected?: number;
  readonly notes?: number;
}

const OPEN = { pending: 6, waitMs: 60_000, breaker: "OPEN" } as const;

const CASES: readonly [string, Behaviour, Outcome][] = [
  ["hangs", "hangs", { ...OPEN, error: /no answer within 40 ms/ }],
  ["answers 400", { status: 400 }, { dead: 6 }],
  ["answers 413", { status: 413 }, { dead: 6 }],
  ["answers 415", { status: 415 }, { dead: 6 }],
  ["answers 500", { status: 500 }, { dead: 6 }],
  [
    "answers 429 with seconds",
    { status: 429, headers: { "retry-after": "90" } },
    { pending: 6, waitMs: 90_000, error: /answered 429/ },
  ],
  [
    "answers 429 with a date",
    { status: 429, headers: { "retry-after": "Tue, 14 Nov 2023 22:15:20 GMT" } },
    { pending: 6, waitMs: 120_000, error: /answered 429/ },
  ],
  [
    "answers 429 with a day",
    { status: 429, headers: { "retry-after": "86400" } },
    { pending: 6, waitMs: 300_000, error: /answered 429/ },
  ],
  ["answers 429", { status: 429 }, { ...OPEN, error: /answered 429/ }],
  ["answers 503", { status: 503 }, { ...OPEN, error: /answered 503/ }],
  ["answers 401", { status: 401 }, { ...OPEN, error: /401 \(check the headers/ }],
  ["answers 404", { status: 404 }, { ...OPEN, error: /404 \(check the URL/ }],
  [
    "redirects",
    { status: 307, headers: { location: "http://localhost:1/" } },
    { ...OPEN, error: /307 \(redirects are not followed/ },
  ],
  ["closes", "closes", { ...OPEN, error: /Cannot forward to http/ }],
  ["is no HTTP", "is no HTTP", { ...OPEN, error: /Cannot forward to http/ }],
  ["closes in its answer", "closes in its answer", { delivered: 6, notes: 1 }],
  ["hangs in its answer", "hangs in its answer", { delivered: 6, notes: 1 }],
  ["answers without end", "answers without end", { delivered: 6, notes: 1 }],
  [
    "answers with garbage",
    { status: 200, headers: { "content-type": "text/html" }, body: "<h1>" },
    { delivered: 6, notes: 1 },
  ],
  ["rejects a part", { rejected: 4, message: "too old" }, { delivered: 6, rejected: 4 }],
  ["is slow", "is slow", { delivered: 6 }],
];

for (const [name, behaviour, expected] of CASES) {
  Deno.test(`a destination that ${name}: each record is accounted for, and none lost`, async () => {
    await using server = await misbehavingServer(() => behaviour);
    await using journal = memoryJournal();
    const letters = await DeadLetters.open(new LetterFiles());
    const time = new HeldTime();
    const sink = new ForwardSink({
      url: server.url,
      timeoutMs: typeof behaviour === "string" && behaviour.startsWith("hangs") ? 40 : 10_000,
      now: () => time.now(),
    });
    const delivery = new Delivery(journal, await journal.cursor("a", "oldest"), sink, letters, {
      time,
      maxAttempts: 1,
      failureThreshold: 1,
    });
    for (const names of [["a"], ["b", "c"], ["d", "e", "f"]]) {
      const count = names.length;
      await journal.append({ signal: "traces", body: spans(names), count, arrivalUnixNano: 0n });
    }
    delivery.start();
    await until(() => ["idle", "waiting"].includes(delivery.stats.state));
    const { stats } = delivery;
    assertLedger(stats);
    const { delivered = 0, dead = 0, pending = 0, waitMs = 0, error, breaker = "CLOSED" } =
      expected;
    assert.deepEqual(
      [stats.delivered.traces, stats.dead.traces, stats.pending.traces, stats.skipped.traces],
      [delivered, dead, pending, 0],
    );
    assert.deepEqual([stats.nextAttemptMs, stats.breaker], [waitMs, breaker]);
    assert.match(stats.lastError?.message ?? "", error ?? /^$/);
    assert.equal(sink.stats.rejected.traces, expected.rejected ?? 0);
    assert.equal(sink.stats.notes, expected.notes ?? 0);
    const buried = (await letters.list()).letters;
    assert.deepEqual(buried.map(({ count }) => count), dead === 0 ? [] : [1, 2, 3]);

    // What is pending is delivered when the destination has come to its senses.
    server.behave = () => ({ status: 200 });
    await settled();
    await time.pass(waitMs);
    await delivery.drain();
    assertLedger(delivery.stats);
    assert.equal(delivery.stats.delivered.traces, delivered + pending);
    assert.deepEqual([delivery.stats.pending, delivery.stats.breaker], [noCounts(), "CLOSED"]);
    await delivery.close();
  });
}

Deno.test("a hung destination does not stop a forward from being closed", async () => {
  await using server = await misbehavingServer(() => "hangs");
  await using journal = memoryJournal();
  const letters = await DeadLetters.open(new LetterFiles());
  const time = new HeldTime();
  const cursor = await journal.cursor("a", "oldest");
  const sink = new ForwardSink({ url: server.url });
  const delivery = new Delivery(journal, cursor, sink, letters, { time });
  await journal.append({ signal: "traces", body: spans(["a"]), count: 1, arrivalUnixNano: 0n });
  delivery.start();
  await until(() => server.requests.length === 1);
  const closing = delivery.close();
  await time.pass(5_000);
  await closing;
  assert.deepEqual([cursor.position, delivery.stats.pending.traces], [0n, 1]);
});
