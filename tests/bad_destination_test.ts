/** A collector that forwards to destinations that misbehave: what it logs, and how it counts. */

import assert from "node:assert/strict";
import { startCollector } from "./collector_process.ts";
import {
  destinationOf,
  nothingPending,
  sendSpans,
  type Spans,
  spansOf,
  statsUntil,
} from "./collector_ledger.ts";
import { type Behaviour, misbehavingServer } from "./misbehaving_server.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { spans } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** How a destination misbehaves, what becomes of two spans, and what the log says. */
interface Case {
  readonly behave: () => Behaviour;
  readonly becomes: "delivered" | "pending" | "dead";
  readonly says: RegExp;
}

const answers = (status: number, headers: Record<string, string> = {}) => (): Behaviour => ({
  status,
  headers,
});
/** What is said of a failure that may pass. */
const waits = (what: string) => new RegExp(`warn cannot deliver, trying again .*error="${what}"`);
/** What is said of a refusal. */
const refused = (status: number) =>
  new RegExp(
    `error refused for good, now dead letters .*records="2 spans.*reason=".*\\b${status}\\b`,
  );

const CASES: Readonly<Record<string, Case>> = {
  hangs: { behave: () => "hangs", becomes: "pending", says: waits(".*no answer within 500 ms") },
  bad: { behave: answers(400), becomes: "dead", says: refused(400) },
  large: { behave: answers(413), becomes: "dead", says: refused(413) },
  seconds: {
    behave: answers(429, { "retry-after": "1" }),
    becomes: "pending",
    says: waits(".*answered 429.*"),
  },
  date: {
    behave: () => ({
      status: 429,
      headers: { "retry-after": new Date(Date.now() + 2_000).toUTCString() },
    }),
    becomes: "pending",
    says: waits(".*answered 429.*"),
  },
  broken: { behave: answers(500), becomes: "dead", says: refused(500) },
  busy: { behave: answers(503), becomes: "pending", says: waits(".*answered 503.*") },
  closes: { behave: () => "closes", becomes: "pending", says: waits("Cannot forward to .*") },
  cut: {
    behave: () => "closes in its answer",
    becomes: "delivered",
    says: /info it said .*signal=traces what=/,
  },
  garbage: {
    behave: () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<h1>" }),
    becomes: "delivered",
    says: /info it said .*signal=traces what=/,
  },
  nonsense: { behave: () => "is no HTTP", becomes: "pending", says: waits("Cannot forward to .*") },
  elsewhere: {
    behave: answers(307, { location: "http://localhost:1/" }),
    becomes: "pending",
    says: waits(".*307 \\(redirects are not followed.*"),
  },
};

if (drivers.includes("postgres")) {
  Deno.test("destinations that misbehave are each told and counted, and disturb nobody else", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    await using servers = new AsyncDisposableStack();
    const places = await Promise.all(
      Object.entries(CASES).map(async ([name, one]) => {
        const server = servers.use(await misbehavingServer(one.behave));
        return { name, server, ...one };
      }),
    );
    await using collector = await startCollector({
      dataDir: data.path,
      env: { DATABASE_URL: test.url },
      args: [
        ...["--breaker-cooldown", "100", "--attempt-timeout", "500"],
        ...places.flatMap(({ name, server }) => ["--forward", `${name}=${server.url}`]),
      ],
    });
    await sendSpans(collector.url, spans([1, 2]));

    await nothingPending(collector);
    const met = await statsUntil(collector, (stats) =>
      places.every(({ name, becomes }) => {
        const { lastError } = destinationOf(stats, name);
        return becomes === "pending" ? lastError !== null : spansOf(stats, name).pending === 0;
      }));
    const two = (becomes: keyof Spans): Spans => ({
      ...{ accepted: 2, delivered: 0, pending: 0, dead: 0, skipped: 0 },
      [becomes]: 2,
    });
    for (const { name, becomes } of places) {
      assert.deepEqual(spansOf(met, name), two(becomes), name);
    }
    assert.deepEqual(spansOf(met), two("delivered"));

    // What is pending is delivered when they have come to their senses.
    for (const { server } of places) server.behave = answers(200);
    const healed = await statsUntil(
      collector,
      (stats) => places.every(({ name }) => spansOf(stats, name).pending === 0),
    );
    for (const { name, becomes } of places) {
      const expected = two(becomes === "pending" ? "delivered" : becomes);
      assert.deepEqual(spansOf(healed, name), expected, name);
    }
    assert.equal(healed.deadLetters.letters, 3);
    assert.deepEqual(
      await test.database.query("select count(*) as n from otel.spans"),
      [{ n: 2n }],
    );
    collector.signal("SIGTERM");
    const { code, stderr } = await collector.ended;
    assert.equal(code, 0, stderr);
    for (const { name, says } of places) {
      const lines = stderr.split("\n").filter((line) => line.includes(`destination=${name} `));
      assert.ok(lines.some((line) => says.test(line)), `${name}: ${lines.join("\n")}`);
    }
  });
}
