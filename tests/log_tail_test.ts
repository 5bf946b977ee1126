/** Following the logs: the tail alone, of a store, and over HTTP. */

import assert from "node:assert/strict";
import type { OTelStorageAdapter } from "../src/adapter.ts";
import { UnavailableError } from "../src/intake.ts";
import { LogTail } from "../src/log_tail.ts";
import { encodeRequest } from "../src/otlp.ts";
import { getTraceTree } from "../src/query.ts";
import type { LogRecord } from "../src/record.ts";
import { handler } from "../src/server.ts";
import { startCollector, stop } from "./collector_process.ts";
import { attribute, log, logs, resource } from "./one_record.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";
import { type ReadEvent, readEvents } from "./tail_events.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };
const SHOP = resource([attribute("service.name", "shop")]);
const ALL = () => true;

/** Records that are called by their event names, of now. */
function named(names: readonly string[], fields: Partial<LogRecord> = {}): Uint8Array {
  const timeUnixNano = BigInt(Date.now()) * 1_000_000n;
  return encodeRequest(
    "logs",
    logs(names.map((eventName) => log({ timeUnixNano, eventName, ...fields })), { resource: SHOP }),
  );
}

function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(from + n));
}

function nameOf({ data }: ReadEvent): string {
  return JSON.parse(data).record.eventName;
}

Deno.test("while nobody follows, nothing is done", () => {
  const tail = new LogTail();
  const untouched = new Proxy(new Uint8Array(), {
    get: (_, name) => assert.fail(`asked for ${String(name)}`),
  });
  tail.offer(untouched, 1, 0n);
  const follower = tail.follow(ALL);
  assert.throws(() => tail.offer(untouched, 1, 0n), /asked for/);
  follower.end();
  tail.offer(untouched, 1, 0n);
  assert.deepEqual(tail.stats, { followers: 0, skipped: 0, dropped: 0 });
});

Deno.test("who does not read misses the oldest and is told, and nobody else misses anything", async () => {
  const tail = new LogTail({ unreadRecords: 1_000 });
  const slow = tail.follow(ALL);
  const odd = tail.follow(({ record }) => Number(record.eventName) % 2 === 1);
  const reading = Array.from({ length: 20 }, async () => {
    const follower = tail.follow(ALL);
    const names: string[] = [];
    while (names.length < 5_000) {
      const arrived = await follower.take();
      assert.equal(arrived?.dropped, 0);
      names.push(...arrived!.logs.map(({ log }) => log.record.eventName));
    }
    return names;
  });
  for (let n = 0; n < 5_000; n += 2_500) {
    const body = named(numbered(n, 2_500));
    tail.offer(body, 2_500, 7n);
    // Its memory may be used for another request at once.
    body.fill(255);
  }
  for (const names of await Promise.all(reading)) assert.deepEqual(names, numbered(0, 5_000));
  const late = (await slow.take())!;
  assert.equal(late.dropped, 4_000);
  assert.deepEqual(late.logs.map(({ log }) => log.record.eventName), numbered(4_000, 1_000));
  assert.equal((await odd.take())!.dropped, 1_500);
  assert.deepEqual(tail.stats, { followers: 22, skipped: 0, dropped: 5_500 });
  tail.close();
  assert.equal(await slow.take(), undefined);
  assert.equal(tail.stats.followers, 0);
});

Deno.test("large records count by their bytes", async () => {
  const tail = new LogTail({ unreadBytes: 10_000 });
  const slow = tail.follow(ALL);
  const read = tail.follow(ALL);
  for (let n = 0; n < 5; n++) {
    tail.offer(named([String(n)], { body: { stringValue: "x".repeat(4_000) } }), 1, 0n);
  }
  for (let n = 0; n < 5;) n += (await read.take())!.logs.length;
  const { dropped, logs } = (await slow.take())!;
  assert.deepEqual([dropped, logs.map(({ log }) => log.record.eventName)], [3, ["3", "4"]]);
  tail.close();
});

Deno.test("requests that come faster than they are read are skipped, the oldest first, and counted", async () => {
  const body = named(["last"]);
  const tail = new LogTail({ backlogBytes: body.length });
  const follower = tail.follow(ALL);
  tail.offer(named(numbered(0, 9)), 9, 0n);
  tail.offer(named(["gone"]), 1, 0n);
  tail.offer(body, 1, 0n);
  const first = (await follower.take())!;
  const rest = first.logs.length > 0 ? first : (await follower.take())!;
  assert.equal(first.dropped, 10);
  assert.deepEqual(rest.logs.map(({ log }) => log.record.eventName), ["last"]);
  assert.equal(tail.stats.skipped, 10);
  tail.close();
});

Deno.test("followers are as many as may be, and end with their signal", async () => {
  const tail = new LogTail({ maxFollowers: 2 });
  const leaving = new AbortController();
  const one = tail.follow(ALL, leaving.signal);
  tail.follow(ALL);
  assert.throws(() => tail.follow(ALL), UnavailableError);
  const waiting = one.take();
  leaving.abort();
  assert.equal(await waiting, undefined);
  assert.throws(() => tail.follow(ALL, leaving.signal), { name: "AbortError" });
  tail.follow(ALL);
  tail.close();
  assert.throws(() => tail.follow(ALL), /shutting down/);
  assert.throws(() => new LogTail({ maxFollowers: 0 }), /'maxFollowers'/);
});

/** Asks for a tail as somebody on this machine would. */
function asking(adapter: OTelStorageAdapter, options: { token?: string } = {}) {
  const answer = handler({
    store: adapter,
    database: (options) => adapter.database(options),
    tailLogs: (choice, options) => adapter.tailLogs(choice, options),
    ...options,
  });
  return (query: string, init?: RequestInit) =>
    answer(new Request(`http://localhost:4318/api/logs/tail${query}`, init), HERE);
}

for (const driver of drivers) {
  Deno.test(`a tail over HTTP: ${driver}`, async (test) => {
    await using store = await openStore(driver);
    const { adapter } = store;
    const get = asking(adapter);

    await test.step("twenty followers see each line, one that does not read slows nobody", async () => {
      const lazy = await get("");
      const following = await Promise.all(numbered(0, 20).map(() => get("?service=shop")));
      const seen = Promise.all(following.map((response) => readEvents(response, 6_000)));
      for (let n = 0; n < 6_000; n += 100) {
        await adapter.write("logs", named(numbered(n, 100)));
      }
      for (const events of await seen) {
        assert.ok(events.every(({ event }) => event === "message"));
        assert.deepEqual(events.map(nameOf), numbered(0, 6_000));
      }
      const late = await readEvents(lazy, 1_000);
      assert.equal(late[0]!.event, "dropped");
      assert.deepEqual(JSON.parse(late[0]!.data), { count: 5_000 });
      assert.deepEqual(late.slice(1).map(nameOf), numbered(5_000, 1_000));
      assert.equal((await adapter.stats()).tail.dropped, 5_000);
    });

    await test.step("a line is what /api/logs gives, and comes once; what is refused does not", async () => {
      const response = await get(`?${new URLSearchParams({ filter: "a = 1", minSeverity: "9" })}`);
      const attributes = [{ key: "a", value: { intValue: 1n } }];
      let deep = {};
      for (let n = 0; n < 129; n++) deep = { arrayValue: { values: [deep] } };
      const body = encodeRequest(
        "logs",
        logs([
          log({ eventName: "other", severityNumber: 9 }),
          log({ eventName: "low", severityNumber: 8, attributes }),
          log({ eventName: "deep", severityNumber: 9, attributes, body: deep }),
          log({
            eventName: "one\0",
            severityNumber: 9,
            attributes: [...attributes, attribute("b"), attribute("b", "last")],
            body: { doubleValue: -0 },
            traceId: "5b8efff798038103d269b633813fc60c",
          }),
        ], { resource: SHOP }),
      );
      assert.deepEqual(
        [await adapter.write("logs", body), await adapter.write("logs", body)].map((result) =>
          result.rejected
        ),
        [1, 1],
      );
      await adapter.write("logs", named(["two"], { severityNumber: 9, attributes }));
      const [one, two] = await readEvents(response, 2);
      assert.equal(nameOf(two!), "two");
      const answer = handler({ store: adapter, database: (options) => adapter.database(options) });
      const stored = await answer(
        new Request("http://localhost/api/logs?traceId=5b8efff798038103d269b633813fc60c"),
        HERE,
      );
      const { logs: [found] } = await stored.json();
      const byKey = (a: { key: string }, b: { key: string }) => a.key < b.key ? -1 : 1;
      const live = JSON.parse(one!.data);
      live.record.attributes.sort(byKey);
      found.record.attributes.sort(byKey);
      assert.deepEqual(live, found);
    });

    await test.step("a trace of which there are only log records is there, also without them", async () => {
      const traceId = "5b8efff798038103d269b633813fc60c";
      const tree = await getTraceTree(store.database, { traceId, maxLogs: 0 });
      assert.deepEqual([tree?.spans, tree?.logs, tree?.hasMoreLogs], [[], [], true]);
    });

    await test.step("who comes back gets what was missed, and nothing twice", async () => {
      const timeUnixNano = BigInt(Date.now()) * 1_000_000n;
      const send = (...names: string[]) => adapter.write("logs", named(names, { timeUnixNano }));
      const first = await get("?filter=severity+exists+or+service+%3D+shop");
      await send("a", "b", "c");
      const seen = await readEvents(first, 2);
      assert.deepEqual(seen.map(nameOf), ["a", "b"]);
      await send("d");
      const again = await get("?service=shop&since=0", {
        headers: { "last-event-id": seen[1]!.id! },
      });
      await send("e");
      const rest = await readEvents(again, 3);
      assert.deepEqual(rest.map(nameOf), ["c", "d", "e"]);
      assert.deepEqual(rest.map(({ id }) => id), [3, 4, 5].map((n) => `${timeUnixNano}-${n}`));
      const since = await readEvents(await get(`?since=${timeUnixNano}&service=shop`), 5);
      assert.deepEqual(since.map(nameOf), ["a", "b", "c", "d", "e"]);
    });

    await test.step("of more than is given of what is stored, the newest come, and that is said", async () => {
      const events = await readEvents(await get("?since=0"), 1_000);
      assert.deepEqual([events[0]!.event, events[0]!.data], ["dropped", '{"count":null}']);
      assert.equal(nameOf(events.at(-1)!), "e");
    });

    await test.step("a sender from the future moves no position beyond now", async () => {
      const response = await get("");
      await adapter.write("logs", named(["early"], { timeUnixNano: 2n ** 63n }));
      const [event] = await readEvents(response, 1);
      const [time] = event!.id!.split("-");
      assert.ok(BigInt(time!) <= BigInt(Date.now()) * 1_000_000n);
    });

    await test.step("wrong parameters are problems that name them", async () => {
      for (
        const [query, parameter] of [
          ["?filter=a+%3D", "filter"],
          ["?filter=a+~+b", "filter"],
          ["?minSeverity=x", "minSeverity"],
          ["?until=1", "until"],
          ["?after=1", "after"],
        ] as const
      ) {
        const response = await get(query);
        assert.equal(response.status, 400, query);
        assert.equal(response.headers.get("content-type"), "application/problem+json");
        assert.equal((await response.json()).parameter, parameter);
      }
    });

    await test.step("the hundred-and-first is told to come later", async () => {
      const all = await Promise.all(numbered(0, 100).map(() => get("")));
      const one = await get("");
      assert.equal(one.status, 503);
      assert.ok(Number(one.headers.get("retry-after")) > 0);
      assert.match((await one.json()).detail, /100 follow already/);
      await all[0]!.body!.cancel();
      const free = await get("");
      assert.equal(free.status, 200);
      for (const response of [...all.slice(1), free]) await response.body!.cancel();
    });

    await test.step("a token is asked for", async () => {
      const known = asking(adapter, { token: "secret" });
      assert.equal((await known("")).status, 401);
      const response = await known("", { headers: { authorization: "Bearer secret" } });
      assert.equal(response.status, 200);
      await response.body!.cancel();
    });

    await test.step("followers of a store that is closed come to an end", async () => {
      const events = readEvents(await get(""), Infinity);
      await adapter.close();
      assert.deepEqual(await events, []);
      await assert.rejects(adapter.tailLogs());
    });
  });
}

Deno.test("a collector is followed, loses a follower, and stops in time with others connected", async () => {
  await using data = await temporaryFolder();
  await using collector = await startCollector({ dataDir: data.path });
  const { url } = collector;
  const follow = () => fetch(`${url}/api/logs/tail`);
  const send = async (name: string) => {
    const response = await fetch(`${url}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: named([name]) as Uint8Array<ArrayBuffer>,
    });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  };
  const [one, two, deaf] = await Promise.all([follow(), follow(), follow()]);
  const first = readEvents(one, 1);
  const all = readEvents(two, Infinity);
  await send("a");
  assert.deepEqual((await first).map(nameOf), ["a"]);
  // The first one has left.
  await send("b");
  const log = await stop(collector);
  assert.ok(!log.includes("stopped before all was finished"), log);
  assert.deepEqual((await all.catch((error) => assert.fail(error))).map(nameOf), ["a", "b"]);
  await deaf.body!.cancel().catch(() => {});
});
