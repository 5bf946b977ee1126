/** The writer alone: what it stores is held, released and refused by hand. */

import fc from "fast-check";
import assert from "node:assert/strict";
import type { Batch } from "../src/postgres/batch.ts";
import { copiedColumns } from "../src/postgres/copy_format.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { PositionError } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import {
  type BatchStore,
  BatchWriter,
  type BufferLimits,
  UnavailableError,
} from "../src/postgres/writer.ts";
import { logs, numbers, points, spans } from "./requests.ts";

/** The numbers of the records in a batch, in its order. */
function numbersIn(batch: Batch): number[] {
  return batch.signals.flatMap(({ table, bytes, at }) => {
    const columns = copiedColumns(table, bytes.subarray(0, at));
    const name = table.name.endsWith("points") ? "value_int" : "span_id";
    return columns[table.columns.findIndex((column) => column.name === name)]!.map(Number);
  });
}

/** A batch that is to be stored. */
interface Call {
  readonly numbers: readonly number[];
  readonly to: bigint;
  /** Whether the rows of dimensions are there. */
  readonly dimensions: number;
}

/** Records the batches, and stores each when it is told to. */
class FakeStore implements BatchStore {
  readonly calls: Call[] = [];
  /** The records that are stored. */
  readonly stored: number[] = [];
  /** Decides on a batch; by default it waits for `release`. */
  decide: (call: Call) => Promise<void> | void = () => this.#held.promise;
  #held = Promise.withResolvers<void>();
  #called = Promise.withResolvers<void>();

  async store(batch: Batch, to: bigint): Promise<void> {
    const call = { numbers: numbersIn(batch), to, dimensions: batch.dimensions.count };
    this.calls.push(call);
    this.#called.resolve();
    await this.decide(call);
    assert.deepEqual(numbersIn(batch), call.numbers, "the memory was written to meanwhile");
    this.stored.push(...call.numbers);
  }

  /** Waits until so many batches have been given. */
  async called(times: number): Promise<void> {
    while (this.calls.length < times) {
      this.#called = Promise.withResolvers();
      await this.#called.promise;
    }
  }

  /** Ends the waiting of the batch at hand. */
  release(error?: Error): void {
    const held = this.#held;
    this.#held = Promise.withResolvers();
    if (error === undefined) held.resolve();
    else held.reject(error);
  }
}

const LIMITS: BufferLimits = {
  maxBufferBytes: 64 << 20,
  maxBufferRecords: 500_000,
  maxBufferAgeMs: 60_000,
  maxRoomWaitMs: 60_000,
};

function writerOn(
  limits: Partial<BufferLimits> = {},
): { writer: BatchWriter; store: FakeStore } {
  const store = new FakeStore();
  const writer = new BatchWriter(new Transcoder(new Dimensions()), store, { ...LIMITS, ...limits });
  return { writer, store };
}

/** What became of a promise, without waiting for it. */
function watch<T>(promise: Promise<T>): { value?: T; error?: unknown; settled: boolean } {
  const watched: { value?: T; error?: unknown; settled: boolean } = { settled: false };
  promise.then((value) => Object.assign(watched, { value, settled: true }), (error) => {
    Object.assign(watched, { error, settled: true });
  });
  return watched;
}

/** Lets everything happen that waits for nothing but its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** A service, its resource, a scope and a name. */
const DIMENSIONS = 4;
const accepted = (count: number) => ({ accepted: count, rejected: 0, message: "" });
const REFUSED_FOR_CONTENT = Object.assign(new Error("no such value"), { code: "22P02" });
const STOP = new Error("stop");
const CONNECTION_LOST = Object.assign(new Error("gone"), { code: "ECONNRESET" });

/** Nothing waits any more, and every record that was taken is accounted for. */
async function assertSettled(writer: BatchWriter, written: number): Promise<void> {
  await turn();
  const { stored, rejected, refused, bufferedRecords, bufferedBytes } = writer.stats;
  assert.equal(stored + rejected + refused, written);
  assert.deepEqual({ bufferedRecords, bufferedBytes }, { bufferedRecords: 0, bufferedBytes: 0 });
}

// Gathering

Deno.test("writer stores a lone request at once", async () => {
  const { writer, store } = writerOn();
  const written = writer.write("traces", spans([1, 2]));
  await store.called(1);
  assert.deepEqual(store.calls[0]!.numbers, [1, 2]);
  store.release();
  assert.deepEqual(await written, accepted(2));
  await assertSettled(writer, 2);
});

Deno.test("writer resolves a write when its batch is stored, not before", async () => {
  const { writer, store } = writerOn();
  const written = watch(writer.write("traces", spans([1])));
  await store.called(1);
  await turn();
  assert.equal(written.settled, false);
  assert.equal(writer.stats.bufferedRecords, 1);
  store.release();
  await writer.flush();
  assert.deepEqual(written.value, accepted(1));
});

Deno.test("writer stores requests of the same turn together, whatever their signals", async () => {
  const { writer, store } = writerOn();
  store.decide = () => {};
  const written = [
    writer.write("traces", spans([1, 2])),
    writer.write("logs", logs([3])),
    writer.write("metrics", points([4, 5])),
  ];
  for (let n = 0; n < 10; n++) await Promise.resolve();
  await Promise.all([...written, writer.write("traces", spans([6]))]);
  assert.deepEqual(store.calls.map(({ numbers }) => numbers), [[1, 2, 6, 3, 4, 5]]);
  await assertSettled(writer, 6);
});

Deno.test("writer stores requests that arrive during a batch in the next one, in their order", async () => {
  const { writer, store } = writerOn();
  const first = writer.write("traces", spans([1]));
  await store.called(1);
  const next = [2, 3, 4].map((number) => writer.write("traces", spans([number])));
  await turn();
  assert.equal(store.calls.length, 1);
  store.release();
  await first;
  await store.called(2);
  store.release();
  await Promise.all(next);
  assert.deepEqual(store.calls.map(({ numbers }) => numbers), [[1], [2, 3, 4]]);
  assert.deepEqual(store.calls.map(({ to }) => to), [1n, 4n]);
});

Deno.test("writer uses its memory again without mixing batches", async () => {
  const { writer, store } = writerOn();
  const written: Promise<unknown>[] = [];
  for (let n = 0; n < 20; n++) {
    written.push(writer.write("traces", spans(numbers(n * 100 + 1, 1 + (n * 37) % 90))));
    await store.called(n + 1);
    // The next one fills while this one is being stored, and FakeStore looks at its rows twice.
    written.push(writer.write("logs", logs(numbers(n * 100 + 50_000, 40))));
    await turn();
    store.release();
    await store.called(n + 2);
    if (n % 2 === 1) store.release();
    await turn();
  }
  store.decide = () => {};
  store.release();
  await Promise.all(written);
  assert.equal(new Set(store.stored).size, store.stored.length);
  await assertSettled(writer, store.stored.length);
});

Deno.test("writer gives each batch the dimensions that are not committed yet", async () => {
  const { writer, store } = writerOn();
  store.decide = () => Promise.reject(CONNECTION_LOST);
  const counts: number[] = [];
  for (const number of [1, 2, 3]) {
    await assert.rejects(writer.write("traces", spans([number])));
    counts.push(store.calls.at(-1)!.dimensions);
  }
  // Again each time; and none is left behind.
  assert.deepEqual(counts, [DIMENSIONS, DIMENSIONS, DIMENSIONS]);
  await assertSettled(writer, 3);
});

// Invalid records and bodies

Deno.test("writer counts rejected records and stores the others", async () => {
  const { writer, store } = writerOn();
  store.decide = () => {};
  const { accepted, rejected, message } = await writer.write("traces", spans([1, 0, 2, 0]));
  assert.deepEqual([accepted, rejected], [2, 2]);
  assert.match(message, /^2 of 4 spans rejected, the first one because /);
  assert.deepEqual(store.stored, [1, 2]);
  assert.equal(writer.stats.rejected, 2);
  await assertSettled(writer, 4);
});

Deno.test("writer answers a request without a valid record at once and stores nothing", async () => {
  const { writer, store } = writerOn();
  assert.equal((await writer.write("traces", spans([0]))).rejected, 1);
  assert.deepEqual(await writer.write("traces", new Uint8Array()), accepted(0));
  assert.equal(store.calls.length, 0);
  await assertSettled(writer, 1);
});

Deno.test("writer keeps nothing of requests that nothing comes of, however many there are", async () => {
  const { writer, store } = writerOn({ maxBufferBytes: 4096 });
  const torn = (name: string) => spans([1], { name }).subarray(0, -1);
  for (let n = 0; n < 200; n++) {
    await writer.write("traces", spans([0], { name: `nobody's ${n}`, service: `${n}` }));
    await assert.rejects(writer.write("traces", torn(`torn ${n}`)), { name: "OtlpDecodeError" });
  }
  await assertSettled(writer, 200);
  store.decide = () => {};
  await writer.write("traces", spans([1]));
  assert.equal(store.calls[0]!.dimensions, DIMENSIONS);
});

Deno.test("writer rejects a body that is none, and its neighbours are stored", async () => {
  const { writer, store } = writerOn();
  store.decide = () => {};
  const before = writer.write("traces", spans([1]));
  const torn = writer.write("traces", spans([2, 3]).subarray(0, -1));
  const after = writer.write("traces", spans([4]));
  await assert.rejects(torn, { name: "OtlpDecodeError" });
  await Promise.all([before, after]);
  assert.deepEqual(store.stored, [1, 4]);
  await assertSettled(writer, 2);
});

// Bounds

for (
  const [what, limits] of [
    ["records", { maxBufferRecords: 10 }],
    ["bytes", { maxBufferBytes: 1000 }],
  ] as const
) {
  Deno.test(`writer full by ${what} lets requests wait, then takes them`, async () => {
    const { writer, store } = writerOn(limits);
    const first = writer.write("traces", spans(numbers(1, 10)));
    await store.called(1);
    const room = watch(writer.room());
    const second = watch(writer.write("traces", spans([11])));
    await turn();
    assert.deepEqual([room.settled, second.settled], [false, false]);
    assert.equal(writer.stats.bufferedRecords, 10);
    store.release();
    await first;
    await store.called(2);
    assert.equal(room.settled, true);
    store.release();
    await writer.flush();
    assert.deepEqual(second.value, accepted(1));
    await assertSettled(writer, 11);
  });

  Deno.test(`writer full by ${what} refuses those who have waited long enough`, async () => {
    const { writer, store } = writerOn({ ...limits, maxRoomWaitMs: 5 });
    const first = writer.write("traces", spans(numbers(1, 10)));
    await store.called(1);
    for (const waiting of [() => writer.room(), () => writer.write("traces", spans([11]))]) {
      await assert.rejects(waiting, (error) => {
        assert(error instanceof UnavailableError);
        assert.equal(
          error.message,
          "Cannot store the request: the buffer has been full for 5 ms; send it again later",
        );
        assert.equal(error.retryAfterMs, 1000);
        return true;
      });
    }
    assert.equal(writer.stats.turnedAway, 2);
    store.release();
    await first;
    await writer.room();
    assert.deepEqual(store.stored, numbers(1, 10));
    await assertSettled(writer, 10);
  });
}

Deno.test("writer counts what records name towards its bytes", async () => {
  const { writer, store } = writerOn({ maxBufferBytes: 1 << 20, maxRoomWaitMs: 5 });
  const first = writer.write("traces", spans([1], { name: "n".repeat(1 << 20) }));
  await store.called(1);
  await assert.rejects(writer.room(), UnavailableError);
  store.release();
  await first;
});

Deno.test("writer takes one request beyond its bound at most, however many wait", async () => {
  const { writer, store } = writerOn({ maxBufferRecords: 25 });
  const sizes: number[] = [];
  store.decide = async () => {
    await turn();
    sizes.push(writer.stats.bufferedRecords);
  };
  const written = numbers(0, 30).map((n) => writer.write("traces", spans(numbers(n * 10 + 1, 10))));
  await Promise.all(written);
  assert.deepEqual(store.stored, numbers(1, 300));
  assert.ok(sizes.every((size) => size <= 24 + 10), `${sizes}`);
  assert.ok(sizes.length >= 10);
  await assertSettled(writer, 300);
});

Deno.test("writer lets nobody overtake those who wait for room", async () => {
  const { writer, store } = writerOn({ maxBufferRecords: 1 });
  const order: number[] = [];
  const write = (number: number) =>
    writer.write("traces", spans([number])).then(() => order.push(number));
  const written = [write(1), write(2), write(3)];
  await store.called(1);
  for (let n = 4; n <= 12; n++) {
    store.release();
    // At this moment there is room, and the others are there already.
    await store.called(n - 2);
    written.push(write(n));
  }
  store.decide = () => {};
  store.release();
  await Promise.all(written);
  assert.deepEqual(order, numbers(1, 12));
  assert.deepEqual(store.stored, numbers(1, 12));
});

Deno.test("writer refuses a request that has waited too long behind others", async () => {
  const { writer, store } = writerOn({ maxBufferAgeMs: 10 });
  const first = writer.write("traces", spans([1]));
  await store.called(1);
  await assert.rejects(writer.write("traces", spans([2])), (error) => {
    assert(error instanceof UnavailableError);
    assert.equal(
      error.message,
      "Cannot store the request: it has waited 10 ms behind others; send it again later",
    );
    return true;
  });
  store.decide = () => {};
  store.release();
  // The first one has waited as long, but it is being stored.
  assert.deepEqual(await first, accepted(1));
  await writer.flush();
  assert.deepEqual(store.stored, [1]);
  await assertSettled(writer, 2);
});

// Abort

Deno.test("writer takes nothing of a request that is aborted already", async () => {
  const { writer, store } = writerOn();
  const reason = new Error("stop");
  const isReason = (error: unknown) => error === reason;
  const signal = AbortSignal.abort(reason);
  await assert.rejects(writer.write("traces", spans([1]), signal), isReason);
  await assert.rejects(writer.room(signal), isReason);
  assert.equal(store.calls.length, 0);
  await assertSettled(writer, 0);
});

Deno.test("writer lets go of a request that is aborted while it waits for room", async () => {
  const { writer, store } = writerOn({ maxBufferRecords: 1 });
  const controller = new AbortController();
  const reason = new Error("stop");
  const isReason = (error: unknown) => error === reason;
  const first = writer.write("traces", spans([1]));
  await store.called(1);
  const second = writer.write("traces", spans([2]), controller.signal);
  const room = writer.room(controller.signal);
  const third = writer.write("traces", spans([3]));
  controller.abort(reason);
  await assert.rejects(second, isReason);
  await assert.rejects(room, isReason);
  store.decide = () => {};
  store.release();
  await Promise.all([first, third]);
  assert.deepEqual(store.stored, [1, 3]);
  assert.equal(writer.stats.turnedAway, 0);
  await assertSettled(writer, 2);
});

Deno.test("writer takes back a request that is aborted in the buffer, and leaves its neighbours", async () => {
  for (const aborted of [[2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]]) {
    const { writer, store } = writerOn();
    const controller = new AbortController();
    const reason = new Error("stop");
    const first = writer.write("traces", spans([1]));
    await store.called(1);
    const written = [2, 3, 4].map((number) => {
      const body = spans([number, number + 100], { name: `span ${number}` });
      const signal = aborted.includes(number) ? controller.signal : undefined;
      return watch(writer.write("traces", body, signal));
    });
    controller.abort(reason);
    await turn();
    store.decide = () => {};
    store.release();
    await first;
    await writer.flush();
    for (const [index, number] of [2, 3, 4].entries()) {
      if (aborted.includes(number)) assert.equal(written[index]!.error, reason);
      else assert.deepEqual(written[index]!.value, accepted(2));
    }
    const kept = [2, 3, 4].filter((number) => !aborted.includes(number));
    assert.deepEqual(store.stored, [1, ...kept.flatMap((number) => [number, number + 100])]);
    assert.equal(store.calls.length, kept.length === 0 ? 1 : 2);
    await assertSettled(writer, 7);
  }
});

Deno.test("writer does not take back a request that is being stored", async () => {
  const { writer, store } = writerOn();
  const controller = new AbortController();
  const written = writer.write("traces", spans([1]), controller.signal);
  await store.called(1);
  controller.abort(new Error("stop"));
  store.release();
  assert.deepEqual(await written, accepted(1));
  await assertSettled(writer, 1);
});

// Failures of the store

Deno.test("writer stores 99 of 100 requests when the database refuses one for what is in it", async () => {
  for (const poison of [1, 37, 50, 51, 64, 100]) {
    const { writer, store } = writerOn();
    store.decide = ({ numbers }) => {
      if (numbers.includes(poison)) throw REFUSED_FOR_CONTENT;
    };
    const written = numbers(1, 100).map((n) => watch(writer.write("traces", spans([n]))));
    await writer.flush();
    for (const [index, { value, error }] of written.entries()) {
      if (index + 1 === poison) assert.equal(error, REFUSED_FOR_CONTENT);
      else assert.deepEqual(value, accepted(1));
    }
    assert.deepEqual(store.stored, numbers(1, 100).filter((number) => number !== poison));
    assert.ok(store.calls.length <= 2 * Math.ceil(Math.log2(100)) + 1, `${store.calls.length}`);
    // Positions only grow among what is stored, so that each part can be told from the others.
    const positions = store.calls.filter(({ numbers }) => !numbers.includes(poison));
    assert.ok(positions.every(({ to }, index) => index === 0 || to > positions[index - 1]!.to));
    await assertSettled(writer, 100);
  }
});

Deno.test("writer stores the good requests between many bad ones", async () => {
  const { writer, store } = writerOn();
  store.decide = ({ numbers }) => {
    if (numbers.some((number) => number % 2 === 0)) throw REFUSED_FOR_CONTENT;
  };
  await Promise.allSettled(numbers(1, 50).map((n) => writer.write("traces", spans([n]))));
  assert.deepEqual(store.stored, numbers(1, 50).filter((number) => number % 2 === 1));
  assert.ok(store.calls.length < 2 * 50);
  await assertSettled(writer, 50);
});

Deno.test("writer gives each half of a refused batch its own dimensions only", async () => {
  const { writer, store } = writerOn();
  store.decide = ({ numbers }) => {
    if (numbers.length > 1) throw REFUSED_FOR_CONTENT;
  };
  const [one, two] = ["one", "two"].map((name, n) => spans([n + 1], { name, service: name }));
  await Promise.all([writer.write("traces", one!), writer.write("traces", two!)]);
  // Service, resource and name are another one's, scope and the empty ones are not.
  const each = [DIMENSIONS + 3, DIMENSIONS, DIMENSIONS];
  assert.deepEqual(store.calls.map(({ dimensions }) => dimensions), each);
});

for (
  const [what, error] of [
    ["a lost connection", CONNECTION_LOST],
    ["an open circuit", Object.assign(new Error("open"), { name: "CircuitBreakerOpenError" })],
    ["a shutdown", AbortSignal.abort().reason],
    ["a moved position", new PositionError("moved")],
    ["a missing table", Object.assign(new Error("no table"), { code: "42P01" })],
    ["a wrong password", Object.assign(new Error("no password"), { code: "28P01" })],
    ["a read-only database", Object.assign(new Error("read-only"), { code: "25006" })],
    ["a partition made meanwhile", Object.assign(new Error("routed"), { code: "23514" })],
  ] as const
) {
  Deno.test(`writer refuses a whole batch because of ${what}, and asks only once`, async () => {
    const { writer, store } = writerOn();
    store.decide = () => Promise.reject(error);
    const written = numbers(1, 20).map((n) => watch(writer.write("traces", spans([n]))));
    await writer.flush();
    assert.ok(written.every((outcome) => outcome.error === error));
    assert.equal(store.calls.length, 1);
    await assertSettled(writer, 20);
    store.decide = () => {};
    assert.deepEqual(await writer.write("traces", spans([21])), accepted(1));
  });
}

Deno.test("writer refuses what is left when the connection is lost while it looks for a bad request", async () => {
  const { writer, store } = writerOn();
  store.decide = ({ numbers }) => {
    if (store.calls.length > 3) throw CONNECTION_LOST;
    if (numbers.includes(8)) throw REFUSED_FOR_CONTENT;
  };
  const written = numbers(1, 8).map((n) => watch(writer.write("traces", spans([n]))));
  await writer.flush();
  assert.deepEqual(store.stored, [1, 2, 3, 4]);
  assert.deepEqual(written.map(({ error }) => error), [
    ...Array(4).fill(undefined),
    ...Array(4).fill(CONNECTION_LOST),
  ]);
  await assertSettled(writer, 8);
});

Deno.test("writer refuses a request whose body was changed when it has to read it again", async () => {
  const { writer, store } = writerOn();
  store.decide = ({ numbers }) => {
    if (numbers.includes(3)) throw REFUSED_FOR_CONTENT;
  };
  const changed = spans([1]);
  const written = [changed, spans([2]), spans([3])].map((body) =>
    watch(writer.write("traces", body))
  );
  await Promise.resolve();
  changed.fill(0xff);
  await writer.flush();
  assert.equal((written[0]!.error as Error).name, "OtlpDecodeError");
  assert.deepEqual(written[1]!.value, accepted(1));
  assert.equal(written[2]!.error, REFUSED_FOR_CONTENT);
  await assertSettled(writer, 3);
});

Deno.test({
  name: "writer leaves no timer behind, however a request ends",
  sanitizeOps: true,
  async fn() {
    const { writer, store } = writerOn({ maxBufferRecords: 2 });
    const controller = new AbortController();
    const settled = Promise.allSettled([
      writer.write("traces", spans([1, 2])),
      writer.write("traces", spans([3])),
      writer.write("traces", spans([4]), controller.signal),
      writer.room(),
    ]);
    await store.called(1);
    store.release();
    await store.called(2);
    controller.abort(STOP);
    store.release(CONNECTION_LOST);
    await settled;
  },
});

// Flush and close

Deno.test("writer flushes nothing at once", async () => {
  const { writer } = writerOn();
  await writer.flush();
  await writer.room();
});

Deno.test("writer ends a flush when what was written before it is stored, whatever comes after", async () => {
  const { writer, store } = writerOn();
  const before = watch(writer.write("traces", spans([1])));
  await store.called(1);
  const flushed = watch(writer.flush());
  const after = watch(writer.write("traces", spans([2])));
  store.release();
  await store.called(2);
  await turn();
  assert.deepEqual([before.settled, flushed.settled, after.settled], [true, true, false]);
  store.release();
  await writer.flush();
  assert.deepEqual(after.value, accepted(1));
});

Deno.test("writer flushes those who wait for room too", async () => {
  const { writer, store } = writerOn({ maxBufferRecords: 1 });
  const written = [1, 2, 3].map((number) => watch(writer.write("traces", spans([number]))));
  const flushed = writer.flush();
  store.decide = () => {};
  store.release();
  await flushed;
  assert.ok(written.every(({ value }) => value?.accepted === 1));
});

Deno.test("writer that is closed stores what it took, refuses those who wait, and takes no more", async () => {
  const { writer, store } = writerOn({ maxBufferRecords: 2 });
  const taken = [1, 2].map((number) => writer.write("traces", spans([number])));
  await store.called(1);
  const waiting = [writer.write("traces", spans([3])), writer.room()];
  const closed = watch(Promise.all([writer.close(), writer.close()]));
  const refused = /^Cannot store the request: shutting down; send it again later$/;
  for (const refusal of [...waiting, writer.write("traces", spans([4])), writer.room()]) {
    await assert.rejects(refusal, { name: "UnavailableError", message: refused });
  }
  assert.equal(closed.settled, false);
  store.release();
  await Promise.all(taken);
  await writer.close();
  assert.equal(closed.settled, true);
  assert.deepEqual(store.stored, [1, 2]);
  await assertSettled(writer, 2);
});

// All of it at once

/** One thing that happens. */
type Event =
  | { readonly do: "write"; readonly records: number; readonly invalid: number; poison: boolean }
  | { readonly do: "abort"; readonly which: number }
  | { readonly do: "settle"; readonly fails: boolean }
  | { readonly do: "turn" };

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("write" as const),
        records: fc.integer({ min: 0, max: 5 }),
        invalid: fc.integer({ min: 0, max: 2 }),
        poison: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("abort" as const), which: fc.nat(100) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("settle" as const),
        fails: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
      }),
    },
    { weight: 4, arbitrary: fc.constant({ do: "turn" as const }) },
  ),
  { maxLength: 60 },
);

for (
  const [what, limits] of [["", {}], [" in a small buffer", { maxBufferRecords: 12 }]] as const
) {
  Deno.test(`writer loses, doubles and mixes nothing, whatever happens${what}`, async () => {
    await fc.assert(
      fc.asyncProperty(events, async (happenings) => {
        const { writer, store } = writerOn(limits);
        const poisonous = new Set<number>();
        const gate: ((error?: Error) => void)[] = [];
        let open = false;
        store.decide = async ({ numbers }) => {
          if (!open) {
            await new Promise<void>((resolve, reject) =>
              gate.push((error) => error === undefined ? resolve() : reject(error))
            );
          }
          if (numbers.some((number) => poisonous.has(number))) throw REFUSED_FOR_CONTENT;
        };
        const requests: {
          readonly numbers: number[];
          readonly invalid: number;
          readonly controller: AbortController;
          readonly outcome: ReturnType<typeof watch<{ accepted: number; rejected: number }>>;
        }[] = [];
        let next = 1;
        for (const event of happenings) {
          if (event.do === "write") {
            const own = numbers(next, event.records);
            next += event.records;
            if (event.poison && event.records > 0) poisonous.add(own[0]!);
            const { invalid } = event;
            const body = spans([...own, ...Array(invalid).fill(0)], { name: `${own[0]}` });
            const controller = new AbortController();
            const outcome = watch(writer.write("traces", body, controller.signal));
            requests.push({ numbers: own, invalid, controller, outcome });
          } else if (event.do === "abort") {
            requests[event.which % (requests.length || 1)]?.controller.abort(STOP);
          } else if (event.do === "settle") {
            gate.shift()?.(event.fails ? CONNECTION_LOST : undefined);
          } else {
            await turn();
          }
          const { bufferedRecords } = writer.stats;
          if (what !== "") assert.ok(bufferedRecords < 12 + 5, `${bufferedRecords} buffered`);
        }
        open = true;
        for (const pass of gate) pass();
        await writer.flush();

        const expected: number[] = [];
        let written = 0;
        let unsure = 0;
        for (const { numbers, invalid, outcome: { settled, value, error } } of requests) {
          assert.ok(settled);
          const poison = poisonous.has(numbers[0]!);
          written += numbers.length + invalid;
          if (value !== undefined) {
            assert.equal(poison, false);
            assert.deepEqual([value.accepted, value.rejected], [numbers.length, invalid]);
            expected.push(...numbers);
          } else if (error === REFUSED_FOR_CONTENT) {
            assert.equal(poison, true);
          } else {
            assert.ok(error === CONNECTION_LOST || error === STOP);
            // Who gives up while waiting for room was never looked at, and is not counted.
            if (error === STOP && what !== "") unsure += numbers.length + invalid;
          }
        }
        assert.deepEqual(store.stored, expected);
        await turn();
        const { stored, refused, rejected, ...rest } = writer.stats;
        assert.deepEqual(rest, { turnedAway: 0, bufferedRecords: 0, bufferedBytes: 0 });
        assert.equal(stored, expected.length);
        const counted = stored + refused + rejected;
        assert.ok(counted <= written && counted >= written - unsure, `${counted} of ${written}`);
      }),
      { numRuns: 150 },
    );
  });
}
