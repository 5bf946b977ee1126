/** The crash harness sees what it is there to see. */

import { OTelStorageAdapter } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { askDatabase, judge, mixedUp, storedCopies } from "./crash_check.ts";
import { type CollectorStats, LedgerWatch } from "./crash_ledger.ts";
import { Load, type Sent } from "./crash_load.ts";
import { numbersOf, RequestMaker, SIGNALS } from "./crash_requests.ts";
import { randomOf } from "./crashing_files.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { numbers } from "./requests.ts";

const NONE = { traces: 0, logs: 0, metrics: 0 };

function sent(first: number, count: number, acknowledged: boolean): Sent {
  return { signal: "logs", first, count, acknowledged };
}

/** A server of this machine for as long as it is needed. */
function serving(answer: Deno.ServeHandler): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("the crash harness tells what is lost, there twice, and there though nobody sent it", () => {
  const copies = (...logs: [number, number][]) => ({
    traces: new Map<number, number>(),
    logs: new Map(logs),
    metrics: new Map<number, number>(),
  });
  const requests = [sent(1, 2, true), sent(3, 1, false)];
  assert.deepEqual(judge(requests, copies([1, 1], [2, 1])), {
    lost: 0,
    duplicated: 0,
    strangers: 0,
  });
  assert.deepEqual(judge(requests, copies([2, 1], [3, 3], [4, 1])), {
    lost: 1,
    duplicated: 2,
    strangers: 1,
  });
});

if (drivers.includes("postgres")) {
  Deno.test("the crash harness counts the records of all signals in the views, and sees those mixed up", async () => {
    await using test = await testDatabase("postgres");
    await using adapter = new OTelStorageAdapter({ connectionString: test.url });
    await adapter.init();
    const requests: Sent[] = [];
    const random = randomOf(5);
    const maker = new RequestMaker(random, 20);
    while (requests.length < 30) {
      const { signal, first, count, headers, body } = maker.next();
      if (headers["content-type"] !== "application/x-protobuf" || headers["content-encoding"]) {
        continue;
      }
      requests.push({ signal, first, count, acknowledged: true });
      await adapter.write(signal, body);
      assert.deepEqual(numbersOf(signal, body), numbers(first, count));
    }
    const ask = askDatabase(test.url);
    const whole = { lost: 0, duplicated: 0, strangers: 0 };
    assert.deepEqual(judge(requests, await storedCopies(ask)), whole);
    assert.equal(await mixedUp(ask), 0);

    for (const signal of SIGNALS) {
      const table = { traces: "spans", logs: "logs", metrics: "metric_points" }[signal];
      const of =
        { traces: "span_id", logs: "(body #>> '{}')::bigint", metrics: "value_int" }[signal];
      const own = requests.filter((request) => request.signal === signal);
      await test.database.execute(
        `delete from otel_data.${table} where ${of} = ${own[0]!.first};
         insert into otel_data.${table} select * from otel_data.${table} where ${of} = ${
          own[1]!.first
        }`,
      );
    }
    await test.database.execute("update otel_data.spans set service_id = 0");
    assert.deepEqual(judge(requests, await storedCopies(ask)), {
      lost: 3,
      duplicated: 3,
      strangers: 0,
    });
    const [{ n } = { n: 0n }] = await test.database.query<{ n: bigint }>(
      "select count(*) as n from otel_data.spans",
    );
    assert.equal(await mixedUp(ask), Number(n));
  });
}

Deno.test("the crash harness sees a ledger that does not add up, and one that forgets", async () => {
  const taken = { ...NONE, logs: 3 };
  const destination = {
    name: "postgres",
    state: "idle",
    breaker: "CLOSED",
    lagBytes: 0,
    accepted: taken,
    delivered: taken,
    pending: NONE,
    dead: NONE,
    skipped: NONE,
  };
  const right: CollectorStats = {
    received: { ...NONE, logs: 4 },
    rejected: NONE,
    duplicates: { ...NONE, logs: 1 },
    accepted: taken,
    destinations: [destination],
  };
  let stats = right;
  await using server = serving(() => Response.json(stats));
  const { signal } = new AbortController();
  const watch = new LedgerWatch(() => ({ ...NONE, logs: 2 }));
  assert.deepEqual(await watch.drained(server.url, signal), right);

  const wrong: CollectorStats[] = [
    { ...right, received: taken },
    { ...right, destinations: [{ ...destination, pending: { ...NONE, logs: 1 } }] },
    { ...right, destinations: [{ ...destination, delivered: NONE }] },
    // Less than before, though no less than what was acknowledged.
    { ...right, received: taken, accepted: { ...NONE, logs: 2 } },
    { ...right, received: taken, duplicates: NONE },
  ];
  for (stats of wrong) {
    await assert.rejects(watch.drained(server.url, signal), assert.AssertionError);
  }
  stats = right;
  const behind = new LedgerWatch(() => ({ ...NONE, logs: 4 }));
  await assert.rejects(behind.drained(server.url, signal), /4 logs were acknowledged/);
});

Deno.test("the load of the crash harness knows what was acknowledged, and sends the rest again", async () => {
  const bodies = new Map<string, number>();
  const enough = new AbortController();
  let refuse = true;
  let requests = 0;
  await using server = serving(async (request) => {
    const body = (await request.bytes()).toHex();
    bodies.set(body, (bodies.get(body) ?? 0) + 1);
    if (bodies.size === 60) enough.abort();
    // Of the last ones none is taken, so that some are left to be sent again.
    const isRefused = refuse && (++requests % 3 === 0 || enough.signal.aborted);
    if (isRefused) return new Response("{}", { status: 503 });
    const headers = { "content-type": request.headers.get("content-type")! };
    return new Response(headers["content-type"].endsWith("json") ? "{}" : null, { headers });
  });
  const load = new Load({ random: randomOf(3), maxRecords: 10 });
  await load.send(server.url, enough.signal);
  const { refused } = load.counts;
  assert.ok(refused > 0);
  assert.ok(load.sent.some(({ acknowledged }) => !acknowledged));
  refuse = false;
  await load.finish(server.url, new AbortController().signal);
  assert.deepEqual(load.sent.filter(({ acknowledged }) => !acknowledged), []);
  // The same bytes again, and no other.
  assert.equal(bodies.size, load.sent.length);
  const records = load.sent.reduce((sum, { count }) => sum + count, 0);
  assert.equal(SIGNALS.reduce((sum, signal) => sum + load.acknowledged[signal], 0), records);
});

Deno.test("the load of the crash harness fails when the collector answers wrongly, or is gone unbidden", async () => {
  const { signal } = new AbortController();
  {
    await using server = serving(() => new Response("no", { status: 400 }));
    await assert.rejects(new Load({ random: randomOf(4) }).send(server.url, signal), /400: no/);
  }
  await assert.rejects(
    new Load({ random: randomOf(4) }).send("http://127.0.0.1:1", signal),
    TypeError,
  );
});
