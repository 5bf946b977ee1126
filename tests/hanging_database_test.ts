/** A collector whose database accepts connections and does not answer. */

import assert from "node:assert/strict";
import { nothingPending, sendSpans, spansOf, statsOf } from "./collector_ledger.ts";
import { startCollector, stop } from "./collector_process.ts";
import { drivers, storedSpanIds, testDatabase } from "./postgres.ts";
import { spanId, spans } from "./requests.ts";
import { type TcpProxy, tcpProxy } from "./tcp_proxy.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** When a connection is given up that nobody answers, in ms. */
const GIVEN_UP_MS = 10_000;

/** A proxy that nobody gets an answer of before it is opened, and the URL of a database behind it. */
async function closedDoor(url: string): Promise<{ proxy: TcpProxy; url: string; open(): void }> {
  const proxy = await tcpProxy(Number(new URL(url).port));
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.opened = promise;
  const through = Object.assign(new URL(url), { hostname: "127.0.0.1", port: String(proxy.port) });
  return { proxy, url: through.href, open: resolve };
}

if (drivers.includes("postgres")) {
  Deno.test("while a database hangs, requests are acknowledged; when it answers, they are stored", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const { proxy, url, open } = await closedDoor(test.url);
    await using _proxy = proxy;
    const started = performance.now();
    await using collector = await startCollector({
      dataDir: data.path,
      env: { DATABASE_URL: url },
    });
    await sendSpans(collector.url, spans([1, 2]));
    // The first connection has not been given up yet, long before it will be: nobody waits for that.
    assert.equal(proxy.waiting, 1);
    const tookMs = performance.now() - started;
    assert.ok(tookMs < GIVEN_UP_MS * 0.8, `${tookMs} ms`);
    assert.equal(spansOf(await statsOf(collector)).pending, 2);
    open();
    await nothingPending(collector);
    assert.deepEqual(await storedSpanIds(test.url), [1, 2].map(spanId));
    const log = await stop(collector);
    assert.match(log, / warn the database cannot be reached yet, .*not ready within \d+ ms/);
    assert.doesNotMatch(log, / error /);
  });

  Deno.test("a collector whose database hangs stops in order, and keeps what it has acknowledged", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const { proxy, url } = await closedDoor(test.url);
    await using _proxy = proxy;
    {
      await using collector = await startCollector({
        dataDir: data.path,
        env: { DATABASE_URL: url },
      });
      await sendSpans(collector.url, spans([1]));
      await stop(collector);
    }
    await using collector = await startCollector({
      dataDir: data.path,
      env: { DATABASE_URL: test.url },
    });
    await nothingPending(collector);
    assert.deepEqual(await storedSpanIds(test.url), [1].map(spanId));
  });

  Deno.test("a database that says late that it cannot be used is told as an error, and requests are taken", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const nowhere = Object.assign(new URL(test.url), { password: "s3cret", pathname: "/nowhere" });
    const { proxy, url, open } = await closedDoor(nowhere.href);
    await using _proxy = proxy;
    await using collector = await startCollector({
      dataDir: data.path,
      env: { DATABASE_URL: url },
    });
    open();
    await collector.logged(" error the database cannot be used, ");
    await sendSpans(collector.url, spans([1]));
    const log = await stop(collector);
    assert.match(
      log,
      / error the database cannot be used, .*database \\"nowhere\\" does not exist/,
    );
    assert.doesNotMatch(log, /s3cret/);
  });
}
