import assert from "node:assert/strict";
import type {
  Admin,
  DeadLetterOps,
  Letter,
  ReplayCalls,
  ReplayProgress,
  ReplayRequest,
} from "../src/admin.ts";
import { askCollector, type CollectorAddress } from "../src/ask_collector.ts";
import { DamagedLetterError } from "../src/dead_letters.ts";
import { prometheusText } from "../src/prometheus.ts";
import { remoteDeadLetters, remoteReplay, remoteStats } from "../src/remote_admin.ts";
import { RequestError } from "../src/request_error.ts";
import { handler } from "../src/server.ts";
import { statsJson } from "../src/stats_json.ts";
import { NUMBERS } from "./adapter_numbers.ts";
import { fakeStore } from "./asked_handler.ts";

const store = fakeStore();
const BARE: Admin = {
  query: () => Promise.resolve({ lines: [], truncated: false }),
  maintain: () => Promise.resolve({}),
};
const TOKEN = "s3cret";

/** A collector that can do this, on a port of this machine. */
function serve(admin: Partial<Admin>): CollectorAddress & AsyncDisposable {
  const answer = handler({ store, token: TOKEN, admin: { ...BARE, ...admin } });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    token: TOKEN,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const HEAD = {
  name: "vendor-0f8fad5b-00000000ffffffff-1",
  destination: "vendor",
  journal: "0f8fad5b-d9cb-469f-a165-70867728950e",
  position: 2n ** 62n,
  index: 1,
  signal: "metrics",
  count: 7,
  reason: "400: no\n",
  arrivalUnixNano: 2n ** 64n - 1n,
  diedAtMs: 1_769_860_800_000,
  attempts: 3,
  bytes: 4,
} as const;
const LETTER: Letter = { head: HEAD, body: new Uint8Array([0, 255, 128, 10]) };

const PROGRESS: ReplayProgress = {
  signal: "traces",
  sent: 10,
  rejected: 1,
  refused: 2,
  reasons: new Map([["400: no", 2]]),
  requests: 3,
  total: 100,
  lastUnixNano: 2n ** 64n - 1n,
};
const REQUEST: ReplayRequest = {
  to: "https://otlp.example",
  headers: { "api-key": "k" },
  since: 1n,
  until: 2n ** 64n - 1n,
  signals: ["traces", "logs"],
  filter: 'service = "a b"',
};

/** Something that the test lets happen. */
function latch(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

function calls(more: Partial<ReplayCalls> = {}): ReplayCalls {
  return { signal: new AbortController().signal, onProgress: () => {}, ...more };
}

Deno.test("stats are answered in JSON and for Prometheus, to who has the token", async () => {
  await using collector = serve({
    stats: () => Promise.resolve(statsJson(NUMBERS)),
    metrics: () => Promise.resolve(prometheusText(NUMBERS)),
  });
  assert.deepEqual(await remoteStats(collector), statsJson(NUMBERS));
  const { body, headers } = await askCollector(collector, "/metrics");
  assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(body, prometheusText(NUMBERS));
  for (const path of ["/api/stats", "/metrics"]) {
    await assert.rejects(askCollector({ url: collector.url }, path), {
      name: "CollectorRefusalError",
      status: 401,
    });
  }
});

Deno.test("what an admin cannot do has no path, and a path has its methods", async () => {
  await using bare = serve({});
  for (const path of ["/api/stats", "/metrics", "/api/dead-letters", "/api/replay"]) {
    await assert.rejects(askCollector(bare, path), { status: 404 });
  }
  await using collector = serve({
    stats: () => Promise.resolve({}),
    replay: () => Promise.resolve([]),
  });
  await assert.rejects(askCollector(collector, "/api/stats", {}), { status: 405 });
  await assert.rejects(askCollector(collector, "/api/replay"), { status: 405 });
});

Deno.test("without a token the numbers are for this machine alone", async () => {
  const answer = handler({
    store,
    admin: { ...BARE, stats: () => Promise.resolve({}), metrics: () => Promise.resolve("") },
  });
  for (const path of ["/api/stats", "/metrics"]) {
    const request = () => new Request(`http://localhost${path}`);
    const from = (hostname: string) => ({ remoteAddr: { transport: "tcp", hostname } });
    assert.equal((await answer(request(), from("127.0.0.1"))).status, 200);
    assert.equal((await answer(request(), from("192.168.0.2"))).status, 403);
    const page = new Request(request(), { headers: { origin: "https://example.org" } });
    assert.equal((await answer(page, from("127.0.0.1"))).status, 403);
  }
});

Deno.test("dead letters pass through HTTP as they are", async () => {
  const asked: unknown[] = [];
  const ops: DeadLetterOps = {
    list: (filter) => {
      asked.push(["list", filter]);
      return Promise.resolve({ letters: [HEAD], damaged: [{ name: "x", reason: "torn" }] });
    },
    read: (name) => {
      asked.push(["read", name]);
      return Promise.resolve(LETTER);
    },
    replay: (name, options) => {
      asked.push(["replay", name, options?.signal instanceof AbortSignal]);
      return Promise.resolve({ outcome: "refused", reason: "400: still" });
    },
    drop: (name) => {
      asked.push(["drop", name]);
      return Promise.resolve(name !== "nobody");
    },
  };
  await using collector = serve({ deadLetters: ops });
  const remote = remoteDeadLetters(collector);
  const filter = { destination: "vendor", signal: "metrics", reason: "no", limit: 5 } as const;
  assert.deepEqual(await remote.list(filter), {
    letters: [HEAD],
    damaged: [{ name: "x", reason: "torn" }],
  });
  assert.deepEqual(await remote.list({}), await ops.list({}));
  assert.deepEqual(await remote.read(HEAD.name), LETTER);
  assert.deepEqual(await remote.replay("é"), { outcome: "refused", reason: "400: still" });
  assert.deepEqual([await remote.drop(HEAD.name), await remote.drop("nobody")], [true, false]);
  assert.deepEqual(asked, [
    ["list", filter],
    ["list", {}],
    ["list", {}],
    ["read", HEAD.name],
    ["replay", "é", true],
    ["drop", HEAD.name],
    ["drop", "nobody"],
  ]);
});

Deno.test("what is wrong with a letter arrives as the error that it is, anything else with its reason", async () => {
  const errors: Record<string, Error> = {
    nobody: new RangeError("Cannot read the dead letter nobody: no such"),
    torn: new DamagedLetterError("Cannot read the dead letter torn: its body has 1 bytes"),
    away: Object.assign(new Error("Cannot forward: refused"), { code: "ECONNREFUSED" }),
    broken: new TypeError("Cannot see"),
    busy: new RequestError(503, "Cannot do it now", { retryAfterMs: 1000 }),
  };
  await using collector = serve({
    deadLetters: {
      list: () => Promise.reject(errors.broken),
      read: (name) => Promise.reject(errors[name]),
      replay: (name) => Promise.reject(errors[name]),
      drop: () => Promise.reject(errors.broken),
    },
  });
  const remote = remoteDeadLetters(collector);
  for (const act of [remote.read, remote.replay]) {
    for (const name of ["nobody", "torn"]) {
      const { message, name: kind } = errors[name]!;
      await assert.rejects(act(name), { name: kind, message });
    }
    for (const [name, status] of [["away", 503], ["broken", 500], ["busy", 503]] as const) {
      await assert.rejects(act(name), {
        name: "CollectorRefusalError",
        status,
        message: `The collector at ${collector.url} answered: ${errors[name]!.message}`,
      });
    }
  }
});

Deno.test("a command that is none is refused with what to send", async () => {
  await using collector = serve({
    deadLetters: {
      list: () => assert.fail(),
      read: () => assert.fail(),
      replay: () => assert.fail(),
      drop: () => assert.fail(),
    },
    replay: () => assert.fail(),
  });
  const wrong: [path: string, command: unknown, reason: RegExp][] = [
    ["/api/dead-letters", null, /answered: Cannot read the command: send \{"action"/],
    ["/api/dead-letters", { action: "drop" }, /Cannot read the command/],
    ["/api/dead-letters", { action: "drop", name: "" }, /Cannot read the command/],
    ["/api/dead-letters", { action: "list", filter: { limit: 0 } }, /Cannot read the command/],
    ["/api/dead-letters", { action: "list", filter: { resaon: "" } }, /Cannot read the command/],
    ["/api/replay", { to: "http://h" }, /answered: Cannot read the command: send \{"to"/],
    [
      "/api/replay",
      { to: "http://h", headers: {}, signals: ["traces"], filter: "service =" },
      /answered: Cannot read the filter at character 10: /,
    ],
  ];
  for (const [path, command, message] of wrong) {
    await assert.rejects(askCollector(collector, path, command), { status: 400, message });
  }
});

Deno.test("a replay through HTTP gets its request whole, tells how far it is, and how it went", async () => {
  const seen = latch();
  await using collector = serve({
    async replay(request, { onProgress }) {
      assert.deepEqual(request, REQUEST);
      onProgress(PROGRESS);
      // Not before the first has arrived: it is told while the replay goes on.
      await seen.opened;
      return [{ ...PROGRESS, sent: 100 }, { ...PROGRESS, signal: "logs", lastUnixNano: undefined }];
    },
  });
  const told: ReplayProgress[] = [];
  const result = await remoteReplay(collector)(
    REQUEST,
    calls({
      onProgress: (progress) => {
        told.push(progress);
        seen.open();
      },
    }),
  );
  assert.deepEqual(told, [PROGRESS]);
  assert.deepEqual(result, [
    { ...PROGRESS, sent: 100 },
    { ...PROGRESS, signal: "logs", lastUnixNano: undefined },
  ]);
});

Deno.test("a replay of everything has no times, and one that fails says why", async () => {
  const asked: ReplayRequest[] = [];
  await using collector = serve({
    replay(request) {
      asked.push(request);
      return Promise.reject(new Error("Cannot replay traces: gone. Go on with 5 as since"));
    },
  });
  const all = { ...REQUEST, since: undefined, until: undefined };
  await assert.rejects(remoteReplay(collector)(all, calls()), {
    message: "Cannot replay traces: gone. Go on with 5 as since",
  });
  assert.deepEqual(asked, [all]);
});

Deno.test("a replay ends when who asked for it goes", async () => {
  const begun = latch();
  const ended = Promise.withResolvers<unknown>();
  await using collector = serve({
    replay(_, { signal, onProgress }) {
      onProgress(PROGRESS);
      signal.addEventListener("abort", () => ended.resolve(signal.reason));
      begun.open();
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    },
  });
  const gone = new AbortController();
  const replay = remoteReplay(collector)(REQUEST, calls({ signal: gone.signal }));
  await begun.opened;
  gone.abort();
  await assert.rejects(replay, /Cannot reach the collector at \S+: .*abort/);
  await ended.promise;
});

Deno.test("a collector that ends in the middle of a replay is said so", async () => {
  const progress = { ...PROGRESS, reasons: {}, lastUnixNano: "1" };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    return new Response(`${JSON.stringify({ progress })}\n`);
  });
  const address = { url: `http://127.0.0.1:${server.addr.port}` };
  await assert.rejects(remoteReplay(address)(REQUEST, calls()), {
    message: `The collector at ${address.url} ended before the replay did; go on with --since`,
  });
});

Deno.test("a reader that is slow gets the newest of what it missed", async () => {
  const begun = latch();
  const finish = latch();
  const answer = handler({
    store,
    admin: {
      ...BARE,
      async replay(_, { onProgress }) {
        for (let sent = 1; sent <= 10_000; sent++) onProgress({ ...PROGRESS, sent });
        begun.open();
        await finish.opened;
        return [];
      },
    },
  });
  const { since: _, until: __, ...request } = REQUEST;
  const response = await answer(
    new Request("http://localhost/api/replay", { method: "POST", body: JSON.stringify(request) }),
    { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } },
  );
  await begun.opened;
  finish.open();
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length <= 3, `${lines.length} lines`);
  assert.equal(lines.at(-2).progress.sent, 10_000);
  assert.deepEqual(lines.at(-1), { result: [] });
});

Deno.test("who asks a collector that is not there is told where", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const message = new RegExp(`^Error: Cannot reach the collector at ${url}: `);
  await assert.rejects(remoteStats({ url }), message);
  await assert.rejects(remoteReplay({ url })(REQUEST, calls()), message);
});
