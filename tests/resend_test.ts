/** Requests that clients send again to a collector, before and after it was killed. */

import assert from "node:assert/strict";
import { startCollector } from "./collector_process.ts";
import { askDatabase, judge, mixedUp, storedCopies } from "./crash_check.ts";
import { type Counted, LedgerWatch } from "./crash_ledger.ts";
import { type NumberedRequest, RequestMaker } from "./crash_requests.ts";
import { randomOf } from "./crashing_files.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { sendAll } from "./send_all.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const NONE: Counted = { traces: 0, logs: 0, metrics: 0 };

function recordsOf(requests: readonly NumberedRequest[], times = 1): Counted {
  const counts = { ...NONE };
  for (const { signal, count } of requests) counts[signal] += times * count;
  return counts;
}

if (drivers.includes("postgres")) {
  Deno.test("1,000 requests sent three times, the third time after a kill, are stored once, and the copies counted", async () => {
    await using test = await testDatabase("postgres");
    await using folder = await temporaryFolder();
    const maker = new RequestMaker(randomOf(6), 5);
    const requests = Array.from({ length: 1_000 }, () => maker.next());
    const options = { dataDir: folder.path, args: ["--database", test.url] };
    const deadline = AbortSignal.timeout(120_000);
    const ledger = new LedgerWatch(() => NONE);
    {
      await using collector = await startCollector(options);
      await sendAll(collector.url, requests);
      await sendAll(collector.url, requests.toReversed());
      const { received, duplicates, accepted } = await ledger.sample(collector.url);
      assert.deepEqual({ received, duplicates, accepted }, {
        received: recordsOf(requests, 2),
        duplicates: recordsOf(requests),
        accepted: recordsOf(requests),
      });
      collector.signal("SIGKILL");
      await collector.ended;
    }
    await using collector = await startCollector(options);
    await sendAll(collector.url, requests);
    const { received, duplicates, accepted } = await ledger.drained(collector.url, deadline);
    // What was told before the kill is counted on.
    assert.deepEqual({ received, duplicates, accepted }, {
      received: recordsOf(requests, 3),
      duplicates: recordsOf(requests, 2),
      accepted: recordsOf(requests),
    });
    const ask = askDatabase(test.url);
    const sent = requests.map((request) => ({ ...request, acknowledged: true }));
    assert.deepEqual(judge(sent, await storedCopies(ask)), {
      lost: 0,
      duplicated: 0,
      strangers: 0,
    });
    assert.equal(await mixedUp(ask), 0);
  });
}
