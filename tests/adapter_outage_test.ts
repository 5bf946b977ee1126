/** The adapter on a server that goes away and comes back, and that wants a password. */

import {
  OTelStorageAdapter,
  type OTelStorageOptions,
  UnavailableError,
} from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { classify } from "../src/retry.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { backdoor, errorOf } from "./driver_candidates.ts";
import { numbers, spanId, spans } from "./requests.ts";

/** A server that only these tests use; it ends with them. */
const server = await ownPostgresServer();

let databases = 0;

/** The URL of a new database on the server. */
async function urlOf(url: string): Promise<string> {
  const database = new URL(url);
  database.pathname = `/outage_${++databases}`;
  await backdoor(
    url,
    (admin) =>
      admin.query(
        `create database ${database.pathname.slice(1)} template template0 encoding 'UTF8'`,
      ),
  );
  return database.href;
}

/** An adapter for a new database on the server. */
async function adapterOn(
  url: string,
  options: Partial<OTelStorageOptions> = {},
): Promise<OTelStorageAdapter> {
  return new OTelStorageAdapter({ connectionString: await urlOf(url), ...options });
}

/** Asks until it is so. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function assertUnavailable(error: unknown): asserts error is UnavailableError {
  assert(error instanceof UnavailableError, inspect(error));
  assert.match(error.message, /^Cannot store the request: .*; send it again later$/);
  assert.ok(error.retryAfterMs >= 1 && error.retryAfterMs <= 60_000, `${error.retryAfterMs}`);
}

if (server !== undefined) {
  const { url } = server;

  Deno.test("adapter whose server is down at init says so, and can be initialised later", async () => {
    await using adapter = await adapterOn(url);
    await server.stop("INT");
    for (const error of await Promise.all([errorOf(adapter.init()), errorOf(adapter.init())])) {
      assert.equal(classify(error).kind, "transient", inspect(error));
    }
    await assert.rejects(adapter.write("traces", spans([1])), {
      name: "TypeError",
      message: "Cannot use the adapter: await init() first",
    });
    await server.start();
    await adapter.init();
    assert.equal((await adapter.write("traces", spans([1]))).accepted, 1);
  });

  Deno.test("adapter keeps what it acknowledged, once, while its server is stopped and killed", async () => {
    await using adapter = await adapterOn(url, {
      maxRetries: 2,
      circuitBreakerThreshold: 2,
      circuitBreakerCooldownMs: 10,
      maxBufferAgeMs: 100,
    });
    await adapter.init();
    const acknowledged: number[] = [];
    let refused = 0;
    let stopped = false;
    let next = 1;
    const senders = [1, 2, 3, 4].map(async () => {
      while (!stopped) {
        const number = next++;
        try {
          await adapter.write("traces", spans([number]));
          acknowledged.push(number);
        } catch (error) {
          assertUnavailable(error);
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
    });
    const more = (of: () => number, count: number) => {
      const goal = of() + count;
      return until(() => of() >= goal);
    };
    for (const signal of ["INT", "QUIT", "INT"] as const) {
      await more(() => acknowledged.length, 50);
      await server.stop(signal);
      await more(() => refused, 10);
      await server.start();
    }
    await more(() => acknowledged.length, 50);
    stopped = true;
    await Promise.all(senders);

    await adapter.flush();
    const database = await adapter.database();
    const rows = await database.query<{ id: bigint; n: bigint }>(
      "select span_id as id, count(*) as n from otel_data.spans group by span_id",
    );
    // Those that were refused stayed in the journal: each is stored, and once.
    const stored = rows.map(({ id, n }) => [Number(id), Number(n)]).sort(([a], [b]) => a! - b!);
    assert.deepEqual(stored, numbers(1, next - 1).map((number) => [number, 1]));
    const { accepted, destinations } = await adapter.stats();
    assert.equal(acknowledged.length + refused, next - 1);
    assert.equal(accepted.traces, next - 1);
    assert.equal(destinations[0]?.delivered.traces, next - 1);
  });

  Deno.test("adapter on a journal on disk takes requests while its server is down, and stores them later", async () => {
    const dataDir = await Deno.makeTempDir();
    const folder = { [Symbol.asyncDispose]: () => Deno.remove(dataDir, { recursive: true }) };
    await using _folder = folder;
    const events: string[] = [];
    const options = {
      dataDir,
      circuitBreakerCooldownMs: 10,
      onEvent: ({ message }: { message: string }) => void events.push(message),
    };
    const target = await urlOf(url);
    await server.stop("QUIT");
    {
      await using adapter = new OTelStorageAdapter({ connectionString: target, ...options });
      await adapter.init();
      assert.ok(events.some((message) => message.startsWith("the database cannot be reached yet")));
      await adapter.write("traces", spans([1]));
      const { ok, accepting, pendingRecords } = await adapter.health();
      assert.deepEqual([ok, accepting, pendingRecords], [false, true, 1]);
    }
    await using adapter = new OTelStorageAdapter({ connectionString: target, ...options });
    await adapter.init();
    await adapter.write("traces", spans([2]));
    await server.start();
    await adapter.write("traces", spans([3]));
    await adapter.flush();
    const stored = await (await adapter.database()).query(
      "select span_id from otel.spans order by 1",
    );
    assert.deepEqual(stored, [1, 2, 3].map((n) => ({ span_id: spanId(n) })));
    const [database] = (await adapter.stats()).destinations;
    assert.deepEqual(database?.accepted, { traces: 3, logs: 0, metrics: 0 });
    assert.deepEqual(database.delivered, { traces: 3, logs: 0, metrics: 0 });
  });

  Deno.test("adapter leaves a server alone after failures, and asks again after the cooldown", async () => {
    await using adapter = await adapterOn(url, {
      maxRetries: 1,
      maxBufferAgeMs: 50,
      circuitBreakerThreshold: 3,
      circuitBreakerCooldownMs: 60_000,
      closeGraceMs: 100,
    });
    await using patient = await adapterOn(url, {
      maxRetries: 1,
      circuitBreakerThreshold: 1,
      circuitBreakerCooldownMs: 50,
    });
    await Promise.all([adapter.init(), patient.init()]);
    await server.stop("QUIT");
    const error = await errorOf(adapter.write("traces", spans([1])));
    assertUnavailable(error);
    assert.equal(
      error.message,
      "Cannot store the request: the database has not stored it within 50 ms; send it again later",
    );
    assert.equal(error.retryAfterMs, 1000);
    const toDatabase = async (of: OTelStorageAdapter) => (await of.stats()).destinations[0]!;
    await until(async () => (await toDatabase(adapter)).breaker === "OPEN");
    const { failures, attempts, nextAttemptMs, lastError } = await toDatabase(adapter);
    assert.deepEqual([failures, attempts], [3, attempts]);
    assert.ok(nextAttemptMs > 30_000 && nextAttemptMs <= 60_000, `${nextAttemptMs}`);
    assert.match(lastError!.message, /ECONNREFUSED|terminat/);
    assertUnavailable(await errorOf(adapter.write("traces", spans([4]))));
    assert.equal((await toDatabase(adapter)).attempts, attempts);
    const { ok, breaker, error: what, schemaVersion } = await adapter.health();
    assert.deepEqual([ok, breaker, schemaVersion], [false, "OPEN", 0]);
    assert.match(what, /ECONNREFUSED/);

    const written = patient.write("traces", spans([1]));
    await until(async () => (await toDatabase(patient)).failures > 1);
    await server.start();
    assert.equal((await written).accepted, 1);
    assert.equal((await toDatabase(patient)).breaker, "CLOSED");
    // Well, but not asked yet by the delivery.
    await until(async () => (await adapter.health()).ok);
    assert.equal((await adapter.health()).breaker, "OPEN");
  });

  Deno.test("adapter tells no password, in no error, health or numbers", async () => {
    await backdoor(url, async (admin) => {
      await admin.query("create role app login password 'the right one'");
      const [{ hba_file }] = (await admin.query("show hba_file")).rows;
      await admin.query(
        `copy (values ('host all app all scram-sha-256'), ('host all all all trust')) to '${hba_file}'`,
      );
      await admin.query("select pg_reload_conf()");
    });
    const withPassword = (password: string, to: Partial<URL> = {}) => {
      const target = Object.assign(new URL(url), { username: "app", password }, to);
      return target.href;
    };
    const silent = (thing: unknown) => {
      const text = inspect(thing, { depth: Infinity, showHidden: true, maxStringLength: null });
      assert.doesNotMatch(text, /hunter|the right one|the%20right/i);
    };

    for (
      const target of [
        withPassword("hunter2"),
        withPassword("hunter2", { hostname: "no-such-host.invalid" }),
        withPassword("hunter2", { port: "1" }),
        withPassword("hunter2", { pathname: "/no_such_database" }),
        "postgres://app:hunter2@127.0.0.1:port/database",
        "postgres://app:hunter2@%zz/database",
      ]
    ) {
      await using adapter = new OTelStorageAdapter({ connectionString: target });
      silent(adapter);
      const error = await errorOf(adapter.init());
      silent(error);
      assert.notEqual(error.message, "");
    }

    const name = `/outage_${++databases}`;
    await backdoor(url, (admin) => admin.query(`create database ${name.slice(1)} owner app`));
    await using adapter = new OTelStorageAdapter({
      connectionString: withPassword("the right one", { pathname: name }),
      maxBufferAgeMs: 5_000,
      closeGraceMs: 100,
    });
    await adapter.init();
    await adapter.write("traces", spans([1]));
    await backdoor(url, async (admin) => {
      await admin.query("alter role app password 'another'");
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'",
      );
    });
    // The first answers may still be those of the killed connections.
    await until(async () => /password authentication failed/.test((await adapter.health()).error));
    const health = await adapter.health();
    assert.deepEqual([health.ok, health.error], [
      false,
      'password authentication failed for user "app"',
    ]);
    silent(health);
    const error = await errorOf(adapter.write("traces", spans([2])));
    assertUnavailable(error);
    silent(error);
    const stats = await adapter.stats();
    assert.match(stats.destinations[0]!.lastError!.message, /password authentication failed/);
    silent(stats);
  });
}
