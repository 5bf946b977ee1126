/** A delivery to a sink that keeps the position itself, and journals that lack what it asks for. */

import assert from "node:assert/strict";
import type { Cursor, JournalRecord } from "../src/journal.ts";
import { memoryJournal } from "../src/memory_journal.ts";
import { type Bury, noCounts } from "../src/sink.ts";
import {
  down,
  fail,
  inWorld,
  letterOf,
  take,
  type TestSink,
  until,
  type World,
} from "./delivery_harness.ts";
import { kinds, OTHER, traces } from "./delivery_cases.ts";

const ALL = { maxBytes: 1_000, maxRecords: 100 };

/** A sink that keeps the position, and a journal that had two records when the delivery was made. */
async function inPositionedWorld(use: (world: World) => Promise<void>): Promise<void> {
  const journal = memoryJournal();
  for (const n of [1, 2]) {
    const body = Uint8Array.of(n);
    await journal.append({ signal: "traces", body, count: n, arrivalUnixNano: 0n });
  }
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(undefined);
  await inWorld({ journal, sink }, use);
}

Deno.test("a sink is asked where to go on, at the start and after a failure", async () => {
  await inPositionedWorld(async ({ journal, sink, delivery, stats, time, cursor }) => {
    const [first] = await journal.read(0n, ALL);
    let at = first!.next;
    let asks = 0;
    sink.position = () => {
      asks++;
      return Promise.resolve(at);
    };
    sink.plan = [fail(down()), (records) => {
      at = records.at(-1)!.next;
      return take(records);
    }];
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.deepEqual([asks, cursor.position, stats().accepted], [1, first!.next, traces(3)]);
    assert.deepEqual(stats().delivered, traces(1), "of a position without a note");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual([sink.calls, asks], [[[2], [2]], 2]);
  });
});

Deno.test("a sink that keeps the position is asked for it before each further attempt", async () => {
  const steps: string[] = [];
  const sink = (sink: TestSink) => {
    sink.position = () => {
      steps.push("asked");
      return Promise.resolve(undefined);
    };
    sink.plan = [1, 2, 3].map(() => () => {
      steps.push("failed");
      return Promise.reject(down());
    });
  };
  await inWorld({ sink, maxAttempts: 3 }, async ({ delivery, append, stats, time }) => {
    await append(1);
    delivery.start();
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await until(() => stats().state === "waiting");
    assert.deepEqual(steps, ["asked", "failed", "asked", "failed"]);
  });
});

Deno.test("while a sink cannot be asked nothing is delivered, and the lag is known", async () => {
  await inPositionedWorld(async ({ sink, delivery, stats, time }) => {
    let asks = 0;
    sink.position = () => ++asks <= 2 ? Promise.reject(down()) : Promise.resolve(undefined);
    delivery.start();
    await until(() => stats().state === "waiting");
    assert.deepEqual([stats().pending, sink.calls], [traces(3), []]);
    assert(stats().lagSeconds > 0);
    for (let n = 0; n < 2; n++) await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2]]);
  });
});

Deno.test("a sink that did what it was asked, but lost its answer, is gone on from there", async () => {
  await inPositionedWorld(
    async ({ journal, sink, letters, delivery, append, stats, time, events }) => {
      let at: bigint | undefined;
      sink.position = () => Promise.resolve(at);
      sink.plan = [async (records, _, bury) => {
        // The last letter belongs to a record that was not committed.
        await bury([letterOf(records[1]!), letterOf(records[2]!)]);
        at = records[1]!.next;
        throw down();
      }, (records) => {
        at = records.at(-1)!.next;
        return take(records, 3);
      }];
      await append(3);
      delivery.start();
      await until(() => stats().state === "waiting");
      assert.deepEqual(stats().pending, traces(6));
      await time.pass(1_000);
      await delivery.drain();
      assert.deepEqual(sink.calls, [[1, 2, 3], [3]]);
      const { delivered, dead, position } = stats();
      assert.deepEqual([delivered, dead, position], [traces(1), traces(5), journal.head]);
      assert.deepEqual([letters.stats.letters, letters.stats.repeated], [2, 1]);
      assert(!kinds(events).includes("rewound"));
    },
  );
});

Deno.test("what a sink buried behind what it answered for is dead if it was committed", async () => {
  await inPositionedWorld(async ({ sink, delivery, append, stats, time }) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [async (records, _, bury) => {
      const [first, second] = records;
      await bury([letterOf(second!)]);
      // The second is committed too, and its answer lost.
      at = second!.next;
      return { ...take([first!]), failure: down() };
    }, (records) => {
      at = records.at(-1)!.next;
      return take(records);
    }];
    await append(3);
    delivery.start();
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2, 3], [3]]);
    assert.deepEqual([stats().delivered, stats().dead], [traces(4), traces(2)]);
  });
});

Deno.test("a sink that cannot bury for lack of room is held, and tried again", async () => {
  const sink = (sink: TestSink) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [async (records, _, bury) => {
      const answer = take(records, 1, 2);
      await bury(answer.dead);
      at = answer.next;
      return answer;
    }];
  };
  const options = { sink, letters: { maxLetters: 2 }, failureThreshold: 1 };
  await inWorld(options, async ({ letters, delivery, append, stats, sink }) => {
    await letters.add([OTHER], { destination: "other", journal: "00000000", attempts: 1 });
    for (const n of [1, 2]) await append(n);
    delivery.start();
    await until(() => stats().state === "full");
    assert.deepEqual([stats().dead, stats().breaker], [noCounts(), "CLOSED"]);
    await letters.drop((await letters.list({ destination: "other" })).letters[0]!.name);
    await delivery.drain();
    assert.deepEqual([sink.calls, stats().dead], [[[1, 2], [1, 2]], traces(3)]);
    assert.equal(letters.stats.letters, 2);
  });
});

Deno.test("a restored database gets again what it lacks", async () => {
  await inPositionedWorld(async ({ journal, sink, delivery, append, stats, time, events }) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    const store = (records: readonly JournalRecord[]) => {
      at = records.at(-1)!.next;
      return take(records);
    };
    sink.plan = [store];
    delivery.start();
    await delivery.drain();
    at = (await journal.read(0n, { maxBytes: 99, maxRecords: 9 }))[1]!.position;
    sink.plan = [fail(down()), store];
    await append(3);
    await until(() => stats().state === "waiting");
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual(sink.calls, [[1, 2], [3], [2, 3]]);
    assert.deepEqual([stats().accepted, stats().delivered], [traces(6), traces(6)]);
    assert.deepEqual(kinds(events), ["failed", "rewound"]);
  });
});

Deno.test("a destination that has nothing any more is told at the next start, once it had something", async () => {
  const journal = memoryJournal();
  let note = "";
  let position: bigint | undefined;
  const cursor = (own: Cursor): Cursor => ({
    name: own.name,
    position: 0n,
    note,
    move: (to) => own.move(to),
    keep: (text) => Promise.resolve(void (note = text)),
  });
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(position);
  const start = (expected: readonly string[]) =>
    inWorld({ journal, sink, cursor }, async ({ sink, delivery, events, append }) => {
      sink.plan = [(records) => {
        position = records.at(-1)!.next;
        return take(records);
      }];
      delivery.start();
      await until(() => delivery.stats.state === "idle");
      if (expected.length > 0) assert.deepEqual(events, [{ kind: "unknown", from: 0n }]);
      await append(1);
      await delivery.drain();
      assert.deepEqual(kinds(events), expected);
    });
  await start([]);
  await start([]);
  position = undefined;
  await start(["unknown"]);
});

Deno.test("a position that the journal has no longer is a gap, by size", async () => {
  const journal = memoryJournal();
  const first = await journal.cursor("first", "oldest");
  journal.start();
  for (const n of [1, 2]) {
    await journal.append({
      signal: "traces",
      body: Uint8Array.of(n),
      count: n,
      arrivalUnixNano: 0n,
    });
  }
  const [, second] = await journal.read(0n, { maxBytes: 99, maxRecords: 9 });
  await first.move(second!.position);
  const sink = (sink: TestSink) => sink.position = () => Promise.resolve(5n);
  await inWorld({ journal, sink }, async ({ sink, delivery, stats, events }) => {
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[2]]);
    assert.equal(stats().gapBytes, Number(second!.position - 5n));
    assert.deepEqual(events, [{ kind: "gap", from: 5n, to: second!.position }]);
  });
});

Deno.test("a cursor that is older than the journal is a gap, by size", async () => {
  const journal = memoryJournal();
  journal.start();
  for (const n of [1, 2]) {
    const body = Uint8Array.of(n);
    await journal.append({ signal: "traces", body, count: n, arrivalUnixNano: 0n });
  }
  const [first] = await journal.read(0n, ALL);
  await (await journal.cursor("first", "oldest")).move(first!.next);
  const cursor = (own: Cursor): Cursor => {
    let position = 5n;
    return {
      name: own.name,
      get position() {
        return position;
      },
      note: own.note,
      move: (to) => Promise.resolve(void (position = to)),
      keep: (note) => own.keep(note),
    };
  };
  await inWorld({ journal, cursor }, async ({ sink, delivery, stats, events, cursor }) => {
    delivery.start();
    await delivery.drain();
    assert.deepEqual([sink.calls, cursor.position], [[[2]], journal.head]);
    assert.equal(stats().gapBytes, Number(first!.next - 5n));
    assert.deepEqual(events, [{ kind: "gap", from: 5n, to: first!.next }]);
  });
});

Deno.test("a sink ahead of a journal that was restored passes over nothing that came since", async () => {
  for (const isBehindAll of [true, false]) {
    await inPositionedWorld(async ({ journal, sink, delivery, append, stats, events }) => {
      // What was in the journal was stored before; these were not, although they lie before it.
      await append(3);
      const ahead = isBehindAll ? 100_000n : journal.head;
      await append(4);
      sink.position = () => Promise.resolve(ahead);
      sink.plan = [(records) => {
        sink.position = () => Promise.resolve(records.at(-1)!.next);
        assert(records.every(({ position }) => position >= ahead));
        return take(records);
      }];
      delivery.start();
      await until(() => sink.calls.length === 1);
      await append(5);
      await delivery.drain();
      assert.deepEqual(sink.calls.flat(), isBehindAll ? [3, 4, 5] : [4, 3, 5]);
      assert.deepEqual(kinds(events), ["ahead"]);
      assert.deepEqual(stats().pending, noCounts());
      // Their copies were delivered, the ones that it passed over were not.
      assert.deepEqual(stats().delivered, traces(15));
      assert.deepEqual(stats().skipped, traces(isBehindAll ? 7 : 3));
    });
  }
});

Deno.test("records that the journal has lost are skipped, and told", async () => {
  const journal = memoryJournal();
  const read = journal.read.bind(journal);
  let lost: number[] = [];
  journal.read = async (from, { maxRecords }) =>
    (await read(from, ALL)).filter(({ body }) => !lost.includes(body[0]!)).slice(0, maxRecords);
  await inWorld({ journal }, async ({ sink, delivery, append, stats, cursor, events }) => {
    for (const n of [1, 2, 3]) await append(n);
    lost = [1, 2];
    delivery.start();
    await delivery.drain();
    assert.deepEqual(sink.calls, [[3]]);
    assert.deepEqual([stats().delivered, stats().skipped], [traces(3), traces(3)]);
    assert.deepEqual(kinds(events), ["gap"]);
    lost = [4];
    await append(4, { signal: "logs" });
    await until(() => cursor.position === journal.head);
    assert.deepEqual([stats().skipped.logs, stats().pending], [4, noCounts()]);
    assert.equal(BigInt(stats().gapBytes) + 97n, cursor.position);
  });
});

Deno.test("a call of the sink that was left alone buries nothing any more", async () => {
  let bury: Bury | undefined;
  const sink = (sink: TestSink) => {
    let at: bigint | undefined;
    sink.position = () => Promise.resolve(at);
    sink.plan = [
      (_, __, given) => {
        bury = given;
        return new Promise<never>(() => {});
      },
      (records) => {
        at = records.at(-1)!.next;
        return take(records);
      },
    ];
  };
  await inWorld({ sink }, async ({ journal, sink, delivery, append, stats, time }) => {
    await append(1);
    const [record] = await journal.read(0n, ALL);
    delivery.start();
    await until(() => sink.calls.length === 1);
    await time.pass(60_000);
    await time.pass(1_000);
    await until(() => stats().state === "waiting");
    await assert.rejects(bury!([letterOf(record!)]), /its time is up/);
    await time.pass(1_000);
    await delivery.drain();
    assert.deepEqual([stats().delivered, stats().dead], [traces(1), noCounts()]);
  });
});
