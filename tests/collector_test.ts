import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import type { Database } from "../src/postgres/database.ts";
import { pg } from "../src/postgres/pg.ts";
import { runCollector, startCollector } from "./collector_process.ts";
import { lockedTable } from "./locked_table.ts";
import { drivers, testDatabase } from "./postgres.ts";

/** A folder that goes with the test. */
async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const TRACE_ID = "5b8efff798038103d269b633813fc60c";

function oneSpan(name: string): string {
  const times = {
    startTimeUnixNano: "1544712660000000000",
    endTimeUnixNano: "1544712661000000000",
  };
  const span = { traceId: TRACE_ID, spanId: "eee19b7ec3c1b174", name, kind: 2, ...times };
  const attributes = [{ key: "service.name", value: { stringValue: "shop" } }];
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: [span] }] }],
  });
}

async function send(
  url: string,
  name: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: oneSpan(name),
  });
  await response.body?.cancel();
  return response.status;
}

const NAMES = ["query", "sql", "select name, service_name from otel.spans order by name"];

Deno.test("the collector keeps what it acknowledged, over a stop and a start", async () => {
  await using data = await folder();
  const dataDir = `${data.path}/new`;
  {
    await using collector = await startCollector({ dataDir });
    assert.equal(await send(collector.url, "first"), 200);
    // Asked while it runs, through it.
    assert.deepEqual(await runCollector({ dataDir, args: NAMES }), {
      code: 0,
      stdout: '{"name":"first","service_name":"shop"}\n',
      stderr: "",
    });
    for (const path of ["/healthz", "/readyz"]) {
      const response = await fetch(collector.url + path);
      assert.equal(response.status, 200);
      await response.body?.cancel();
    }
    await collector.logged("info maintained");
    collector.signal("SIGTERM");
    const { code, stdout, stderr } = await collector.ended;
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `otel-storage 0.1.0 listening on ${collector.url}\n`);
    const events = stderr.trim().split("\n").map((line) =>
      line.replace(/^\S+Z (\w+ \w+).*$/, "$1")
    );
    assert.deepEqual(events, [
      "info journal",
      "info showing",
      "info keeping",
      "info maintained",
      "info stopping",
      "info stopped",
    ]);
  }
  // Asked while it does not run.
  assert.equal(
    (await runCollector({ dataDir, args: NAMES })).stdout,
    '{"name":"first","service_name":"shop"}\n',
  );
  {
    await using collector = await startCollector({ dataDir });
    assert.equal(await send(collector.url, "second"), 200);
    collector.signal("SIGINT");
    assert.equal((await collector.ended).code, 0);
  }
  assert.equal(
    (await runCollector({ dataDir, args: [...NAMES, "--json"] })).stdout,
    '{"name":"first","service_name":"shop"}\n{"name":"second","service_name":"shop"}\n',
  );
});

Deno.test("the subcommands work beside a collector and without one", async () => {
  await using data = await folder();
  const dataDir = `${data.path}/new`;
  const missing = await runCollector({ dataDir, args: ["query", "sql", "select 1"] });
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /^otel-storage: Cannot open \S+\/new\/pglite: .+; start the collector/,
  );
  assert.deepEqual(await runCollector({ dataDir, args: ["migrate"] }), {
    code: 0,
    stdout: "migrated\n",
    stderr: "",
  });
  const done = /^\{"created":\d+,"signed":0,"sealed":0,"expired":0,"postponed":0\}\n$/;
  assert.match((await runCollector({ dataDir, args: ["maintain"] })).stdout, done);
  // Nothing has been received in this folder: there is no journal to tell of.
  const none = await runCollector({ dataDir, args: ["stats"] });
  assert.match(
    none.stderr,
    /^otel-storage: Cannot open \S+\/new\/journal: .+; start the collector/,
  );
  await using _collector = await startCollector({ dataDir });
  assert.match((await runCollector({ dataDir, args: ["maintain"] })).stdout, done);
  assert.equal((await runCollector({ dataDir, args: ["migrate"] })).stdout, "migrated\n");
  assert.match(
    (await runCollector({ dataDir, args: ["stats"] })).stdout,
    /^\{.*"received":.+\}\n$/,
  );
  const wrong = await runCollector({ dataDir, args: ["query", "sql", "select nothing"] });
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stderr,
    /^otel-storage: The collector at http:\S+ answered: column "nothing" does not exist\n$/,
  );
  const write = await runCollector({
    dataDir,
    args: ["query", "sql", "drop table otel_data.spans"],
  });
  assert.match(write.stderr, /syntax error/);
});

Deno.test("a folder belongs to one collector: a second one is refused and names the first", async () => {
  await using data = await folder();
  await using collector = await startCollector({ dataDir: data.path });
  const { code, stdout, stderr } = await runCollector({
    dataDir: data.path,
    args: ["--port", "0"],
  });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.ok(
    stderr.startsWith(`otel-storage: Cannot use the folder ${data.path}: it is in use by`),
    stderr,
  );
  assert.ok(stderr.includes(`pid ${collector.pid}, url ${collector.url}`), stderr);
  assert.equal(await send(collector.url, "still there"), 200);
});

Deno.test("what cannot be asked for ends with 2 and a line that says why", async () => {
  const cases: [args: string[], env: Record<string, string>, line: string][] = [
    [["--backward", "a"], {}, "Cannot read the command line: unknown option '--backward'"],
    [
      ["sevre"],
      {},
      'Cannot read the command line: unknown command "sevre"; there are serve, ' +
      "migrate, maintain, stats, query, dead-letters and replay",
    ],
    [
      [],
      { OTEL_STORAGE_PORT: "http" },
      'Cannot use OTEL_STORAGE_PORT "http": must be a whole ' +
      "number from 0 to 65535",
    ],
    [
      ["--host", "0.0.0.0"],
      {},
      "Cannot listen on 0.0.0.0 without a token: set --token or " +
      "OTEL_STORAGE_TOKEN, or listen on 127.0.0.1",
    ],
    [
      [],
      { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" },
      "Cannot start with OTEL_DENO=true: the collector would trace itself, and then the storing " +
      "of those traces, without end; start it with OTEL_DENO=false",
    ],
  ];
  const ended = await Promise.all(cases.map(([args, env]) => runCollector({ args, env })));
  for (const [at, [, , line]] of cases.entries()) {
    assert.deepEqual(ended[at], { code: 2, stdout: "", stderr: `otel-storage: ${line}\n` });
  }
});

Deno.test("help and version are printed and end with 0", async () => {
  const help = await runCollector({ args: ["--help"] });
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Receives OpenTelemetry[\s\S]+--breaker-cooldown MS[\s\S]+--version/);
  assert.deepEqual(await runCollector({ args: ["--version"] }), {
    code: 0,
    stdout: "0.1.0\n",
    stderr: "",
  });
});

Deno.test("with a token the collector listens to all, and wants it from everybody", async () => {
  await using data = await folder();
  const env = { OTEL_STORAGE_TOKEN: "s3cret" };
  await using collector = await startCollector({
    dataDir: data.path,
    args: ["--host", "0.0.0.0"],
    env,
  });
  const url = collector.url.replace("0.0.0.0", "127.0.0.1");
  assert.equal(await send(url, "a"), 401);
  assert.equal(await send(url, "b", { authorization: "Bearer s3cret" }), 200);
  const count = ["query", "sql", "select count(*) from otel.spans"];
  const asked = await runCollector({ dataDir: data.path, args: count, env });
  assert.equal(asked.stdout, '{"count":1}\n');
  const refused = await runCollector({ dataDir: data.path, args: count });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /answered: Cannot accept the request: it has no token/);
});

Deno.test("a port that is taken is said so", async () => {
  await using data = await folder();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { code, stderr } = await runCollector({
    dataDir: data.path,
    args: ["--port", String(port)],
  });
  listener.close();
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(
      `\\notel-storage: Cannot listen on http://127.0.0.1:${port}: .+; choose another --port\n$`,
    ),
  );
});

/** What a step of {@linkcode raw} gets: what has come back so far. */
type Step = string | ((answer: () => string) => unknown);

/** Sends bytes as they are, and returns what comes back until the connection ends. */
async function raw(url: string, ...steps: Step[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  let answer = "";
  socket.setEncoding("latin1");
  socket.on("data", (text) => answer += text);
  const closed = once(socket, "close");
  for (const step of steps) {
    if (typeof step === "string") socket.write(step);
    else await step(() => answer);
  }
  await closed;
  return answer;
}

/** Waits until the body is being read, if the request asked to be told by `Expect`. */
async function beingRead(answer: () => string): Promise<void> {
  while (!answer().startsWith("HTTP/1.1 100 Continue\r\n\r\n")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("a stop lets a request finish that is being sent", async () => {
  await using data = await folder();
  await using collector = await startCollector({ dataDir: data.path });
  const body = oneSpan("in flight");
  const answer = await raw(
    collector.url,
    `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
    beingRead,
    body.slice(0, 20),
    () => collector.signal("SIGTERM"),
    () => collector.logged("info stopping"),
    body.slice(20),
  );
  assert.match(answer, /^HTTP\/1.1 100 .*\r\n\r\nHTTP\/1.1 200 /);
  assert.equal((await collector.ended).code, 0);
  assert.equal(
    (await runCollector({ dataDir: data.path, args: NAMES })).stdout,
    '{"name":"in flight","service_name":"shop"}\n',
  );
});

Deno.test("a stop does not wait for a sender that does not finish, nor for idle connections", async () => {
  await using data = await folder();
  await using collector = await startCollector({ dataDir: data.path });
  // Leaves a connection that is kept alive.
  assert.equal(await send(collector.url, "first"), 200);
  const answer = await raw(
    collector.url,
    "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
      "expect: 100-continue\r\ncontent-length: 1000\r\n\r\n",
    beingRead,
    "{",
    () => collector.signal("SIGTERM"),
  );
  // Told nothing, it sends again.
  assert.equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
  assert.equal((await collector.ended).code, 0);
});

Deno.test("requests that no client library would send get an answer", async () => {
  await using data = await folder();
  await using collector = await startCollector({ dataDir: data.path });
  const post = "POST /v1/logs HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\n";
  const cases: [request: string, status: RegExp][] = [
    [`${post}host: a b\r\ncontent-length: 2\r\n\r\n{}`, /^HTTP\/1.1 400 /],
    [`${post}host: example.org\r\ncontent-length: 2\r\n\r\n{}`, /^HTTP\/1.1 403 /],
    [`${post}host: localhost\r\ncontent-length: two\r\n\r\n{}`, /^HTTP\/1.1 400 /],
    [
      `${post}host: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
      /^HTTP\/1.1 200 /,
    ],
    [`${post}host: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`, /^HTTP\/1.1 400 |^$/],
    [
      "POST //v1/logs?x HTTP/1.1\r\nconnection: close\r\nhost: localhost\r\n\r\n",
      /^HTTP\/1.1 404 /,
    ],
    ["POST * HTTP/1.1\r\nconnection: close\r\nhost: localhost\r\n\r\n", /^HTTP\/1.1 40[04] /],
    ["\x00\x01\x02\r\n\r\n", /^HTTP\/1.1 400 |^$/],
  ];
  for (const [request, status] of cases) {
    const answer = await raw(collector.url, request);
    assert.match(answer, status, JSON.stringify({ request, answer }));
  }
  assert.equal(await send(collector.url, "still there"), 200);
});

/** Waits until there are so many spans. */
async function stored(database: Database, spans: number): Promise<void> {
  const sql = "select count(*)::int as n from otel.spans";
  while ((await database.query<{ n: number }>(sql))[0]!.n < spans) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function waiting(url: string): Promise<void> {
  await using database = pg(url);
  const sql = "select count(*)::int as n from pg_locks where not granted " +
    "and relation in (select oid from pg_class where relname = 'spans')";
  while ((await database.query<{ n: number }>(sql))[0]?.n === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

if (drivers.includes("postgres")) {
  Deno.test("the collector stores on a server, next to another collector", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    const env = { DATABASE_URL: test.url };
    await using one = await startCollector({ env, dataDir: `${data.path}/one` });
    await using other = await startCollector({
      args: ["--database", test.url],
      dataDir: `${data.path}/other`,
    });
    assert.equal(await send(one.url, "one"), 200);
    assert.equal(await send(other.url, "other"), 200);
    await stored(test.database, 2);
    const { stdout } = await runCollector({ env, args: NAMES });
    assert.equal(
      stdout,
      '{"name":"one","service_name":"shop"}\n{"name":"other","service_name":"shop"}\n',
    );
    one.signal("SIGTERM");
    const { code, stderr } = await one.ended;
    assert.equal(code, 0);
    assert.ok(stderr.includes(` in=${new URL(test.url).host}/`), stderr);
  });

  Deno.test("a stop ends in time with 0 though the database hangs, and what is not stored is stored later", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    const options = { env: { DATABASE_URL: test.url }, dataDir: data.path };
    {
      await using collector = await startCollector(options);
      await using _lock = await lockedTable(test.url, "spans");
      assert.equal(await send(collector.url, "stuck"), 200);
      await waiting(test.url);
      collector.signal("SIGTERM");
      assert.equal((await collector.ended).code, 0);
    }
    assert.deepEqual(await test.database.query("select name from otel.spans"), []);
    await using _again = await startCollector(options);
    await stored(test.database, 1);
    assert.deepEqual(await test.database.query("select name from otel.spans"), [{ name: "stuck" }]);
  });

  Deno.test("a second signal ends the collector at once", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    await using collector = await startCollector({
      env: { DATABASE_URL: test.url },
      dataDir: data.path,
    });
    await using _lock = await lockedTable(test.url, "spans");
    assert.equal(await send(collector.url, "stuck"), 200);
    await waiting(test.url);
    collector.signal("SIGTERM");
    // Two signals in quick succession count as one.
    await new Promise((resolve) => setTimeout(resolve, 500));
    collector.signal("SIGINT");
    assert.equal((await collector.ended).code, 130);
  });

  Deno.test("a database that cannot be reached is told, without its password, and requests are taken", async () => {
    await using data = await folder();
    await using collector = await startCollector({
      args: ["--database", "postgres://otel:s3cret@127.0.0.1:1/otel"],
      dataDir: data.path,
    });
    assert.equal(await send(collector.url, "kept"), 200);
    const ready = await fetch(`${collector.url}/readyz`);
    assert.equal(ready.status, 200);
    await ready.body?.cancel();
    collector.signal("SIGTERM");
    const { code, stderr } = await collector.ended;
    assert.equal(code, 0);
    assert.match(stderr, / warn the database cannot be reached yet, .*ECONNREFUSED/);
    assert.doesNotMatch(stderr, /s3cret/);
  });

  Deno.test("a migration is what the collector on the folder has done, or it is told that it is an older one", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    await using collector = await startCollector({
      env: { DATABASE_URL: test.url },
      dataDir: data.path,
    });
    const ask = () => runCollector({ dataDir: data.path, args: ["migrate"] });
    assert.deepEqual(await ask(), { code: 0, stdout: "migrated\n", stderr: "" });
    await test.database.query("update otel_data.migrations set version = 0");
    assert.deepEqual(await ask(), {
      code: 1,
      stdout: "",
      stderr:
        `otel-storage: Cannot migrate: the collector at ${collector.url} has schema version 0, ` +
        "this program 1: end that one, and start this one\n",
    });
  });

  Deno.test("a database that does not answer is no reason to turn senders away", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    await using collector = await startCollector({
      env: { DATABASE_URL: test.url },
      dataDir: data.path,
    });
    // What says which schema it has cannot be read.
    await using _lock = await lockedTable(test.url, "migrations");
    const ready = await fetch(`${collector.url}/readyz`);
    assert.equal(ready.status, 200);
    await ready.body?.cancel();
    assert.equal(await send(collector.url, "kept"), 200);
  });

  Deno.test("a database that does not exist ends the start with 1 and no password", async () => {
    await using test = await testDatabase("postgres");
    await using data = await folder();
    const url = Object.assign(new URL(test.url), { password: "s3cret", pathname: "/nowhere" });
    const { code, stderr } = await runCollector({
      args: ["--port", "0", "--database", url.href],
      dataDir: data.path,
    });
    assert.equal(code, 1);
    assert.match(stderr, /otel-storage: database "nowhere" does not exist\n$/);
    assert.doesNotMatch(stderr, /s3cret/);
  });
}
