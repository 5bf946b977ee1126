/** The counters that a collector gives Prometheus, over its restarts. */

import assert from "node:assert/strict";
import { nothingPending, sendSpans, statsOf, statsUntil } from "./collector_ledger.ts";
import { type RunningCollector, startCollector, stop } from "./collector_process.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { spans } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** Counters of records since the journal began. */
const COUNTER =
  /^otel_storage_((?:received|rejected|duplicate|accepted|destination_(?:accepted|delivered|dead|skipped))_records_total\{.*\}) (\d+)$/gm;

type Counters = ReadonlyMap<string, number>;

async function counters({ url }: RunningCollector): Promise<Counters> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new Map([...text.matchAll(COUNTER)].map(([, name, value]) => [name!, Number(value)]));
}

const ofTraces = (all: Counters) =>
  ["received", "rejected", "duplicate", "accepted"].map((name) =>
    all.get(`${name}_records_total{signal="traces"}`)
  );

/** Sends two spans, one without an id, and the same again. */
async function sendTwice(url: string, number: number): Promise<void> {
  const body = spans([number, number + 1, 0]);
  for (const _ of [1, 2]) await sendSpans(url, body);
}

if (drivers.includes("postgres")) {
  Deno.test("no counter of records falls when a collector is restarted, or killed", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const options = { dataDir: data.path, env: { DATABASE_URL: test.url } };
    let before: Counters;
    {
      await using collector = await startCollector(options);
      await sendTwice(collector.url, 1);
      await nothingPending(collector);
      assert.deepEqual(ofTraces(await counters(collector)), [6, 2, 2, 2]);
      // Nobody asks again before it ends.
      await sendTwice(collector.url, 3);
      await stop(collector);
    }
    {
      await using collector = await startCollector(options);
      assert.deepEqual(ofTraces(await counters(collector)), [12, 4, 4, 4]);
      await sendTwice(collector.url, 5);
      await nothingPending(collector);
      before = await counters(collector);
      assert.deepEqual(ofTraces(before), [18, 6, 6, 6]);
      await sendTwice(collector.url, 7);
      collector.signal("SIGKILL");
      await collector.ended;
    }
    const none = { ...options, env: { DATABASE_URL: "postgres://127.0.0.1:1/otel" } };
    for (const again of [none, options]) {
      await using collector = await startCollector(again);
      await statsOf(collector);
      const early = await counters(collector);
      // What was accepted is in the journal; of the rest only what was never told is forgotten.
      assert.deepEqual(ofTraces(early), [20, 6, 6, 8]);
      for (const [name, value] of early) assert.ok(value >= before.get(name)!, name);
      if (again === none) continue;
      await statsUntil(collector, ({ destinations }) => destinations.every((d) => d.located));
      const late = await counters(collector);
      assert.deepEqual([...late.keys()], [...before.keys()]);
      for (const [name, value] of late) assert.ok(value >= before.get(name)!, name);
    }
  });
}
