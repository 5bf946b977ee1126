/**
 * `deno task bench:search`: 50 random questions of each kind to ten million spans and five million log
 * records, in ten sealed partitions; the same while others store; and how searches for what is rare
 * depend on the part that is not signed yet.
 */

import { parseArgs } from "node:util";
import { parseFilter } from "../src/filter.ts";
import type { Database, Row } from "../src/postgres/database.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { pg } from "../src/postgres/pg.ts";
import { sign } from "../src/postgres/signing.ts";
import { getTrace } from "../src/query.ts";
import { reading } from "../src/query/reading.ts";
import { scan } from "../src/query/scan.ts";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { DAYS, Filler, START_MS, store, upkeep } from "./search_data.ts";
import { seeded } from "./telemetry.ts";

const NAME = "otel_bench_search";
const RUNS = 50;
const DAY_MS = 86_400_000;
const END_MS = START_MS + DAYS * DAY_MS;

const { values: options } = parseArgs({
  options: {
    spans: { type: "string", default: "10000000" },
    logs: { type: "string", default: "5000000" },
    /** Of a server where the data stays; else one of our own, which goes. */
    server: { type: "string" },
    /** Spans a second that are stored meanwhile. */
    load: { type: "string", default: "0" },
  },
});

interface Question {
  readonly name: string;
  readonly goalMs: number;
  /** Asks it once, about something that comes at random; says how many rows there were. */
  readonly ask: (random: () => number) => Promise<number>;
}

const pick = <T>(random: () => number, values: readonly T[]): T =>
  values[Math.floor(random() * values.length)]!;

function nanos(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}

/** So much of a table that there are a few thousand rows. */
function percent(records: string): number {
  return Math.min(100, 1_000_000 / Number(records));
}

/** What is there, to ask for. */
async function sample(database: Database): Promise<{ spans: Row[]; logs: Row[] }> {
  const spans = await database.query(
    `select t.trace_id, t.attribute_values[array_position(a.own_keys, 'session.id')] as session,
       t.attribute_values[array_position(a.own_keys, 'enduser.id')] as "user"
     from otel_data.spans t tablesample system ($1)
     join otel_data.attribute_sets a on a.id = t.attribute_set_id
     where a.own_keys @> '{session.id,enduser.id}'`,
    [percent(options.spans)],
  );
  const logs = await database.query(
    `select substring(body #>> '{}' from '^order ([0-9a-f]{12})') as word
     from otel_data.logs tablesample system ($1)
     where body #>> '{}' like 'order %'`,
    [percent(options.logs)],
  );
  return { spans, logs };
}

async function questions(database: Database): Promise<Question[]> {
  const { spans, logs } = await sample(database);
  const search = (
    signal: "traces" | "logs",
    text: string,
    // With what is stored meanwhile.
    range = { since: nanos(START_MS), until: nanos(END_MS + DAY_MS) },
    order: "newest" | "slowest" = "newest",
  ) =>
    reading(
      database,
      {},
      async (reader) =>
        (await scan(reader, { signal, filter: parseFilter(text), range, limit: 20, order })).length,
    );
  const service = (random: () => number) => `service = shop-${Math.floor(random() * 10)}`;
  const method = (random: () => number) => pick(random, ["GET", "POST", "PUT", "DELETE"]);
  const route = (random: () => number) => pick(random, ["/api/cart", "/api/search", "/healthz"]);
  const during = (random: () => number, ms: number) => {
    const since = START_MS + random() * (DAYS * DAY_MS - ms);
    return { since: nanos(since), until: nanos(since + ms) };
  };
  return [
    {
      name: "trace by id",
      goalMs: 5,
      ask: async (random) =>
        (await getTrace(database, String(pick(random, spans).trace_id))).length,
    },
    {
      name: "service, operation, an hour",
      goalMs: 20,
      ask: (random) =>
        search(
          "traces",
          `${service(random)} and operation = "${method(random)} ${route(random)}"`,
          during(random, DAY_MS / 24),
        ),
    },
    {
      name: "service, operation, ten days",
      goalMs: 20,
      ask: (random) =>
        search("traces", `${service(random)} and operation = "${method(random)} ${route(random)}"`),
    },
    {
      name: "service, rare duration, newest",
      goalMs: 20,
      ask: (random) => search("traces", `${service(random)} and duration > 79990us`),
    },
    {
      name: "service, slowest",
      goalMs: 20,
      ask: (random) => search("traces", service(random), undefined, "slowest"),
    },
    {
      name: "rare attribute",
      goalMs: 50,
      ask: (random) => search("traces", `session.id = "${pick(random, spans).session}"`),
    },
    {
      name: "attribute of one span in 100,000, newest",
      goalMs: 50,
      ask: (random) => search("traces", `enduser.id = "${pick(random, spans).user}"`),
    },
    {
      name: "attribute that is nowhere",
      goalMs: 50,
      ask: (random) => search("traces", `session.id = "none-${random()}"`),
    },
    {
      name: "common attribute, newest",
      goalMs: 20,
      ask: (random) => search("traces", `http.request.method = ${method(random)}`),
    },
    {
      name: "two common attributes, newest",
      goalMs: 20,
      ask: (random) =>
        search(
          "traces",
          `http.request.method = ${method(random)} and http.response.status_code = 500`,
        ),
    },
    {
      name: "rare word in logs",
      goalMs: 50,
      ask: (random) => search("logs", `text has ${pick(random, logs).word}`),
    },
  ];
}

/** Asks each question; once more before, to warm up. */
async function measured(database: Database, title: string): Promise<void> {
  console.log(`\n${title}\n`);
  console.log(
    "| question | p50 ms | p90 ms | most ms | rows | goal ms |\n|---|---|---|---|---|---|",
  );
  for (const { name, goalMs, ask } of await questions(database)) {
    for (const seed of [1, 2]) {
      const random = seeded(seed);
      const times: number[] = [];
      let rows = 0;
      for (let n = 0; n < RUNS; n++) {
        const begin = performance.now();
        rows += await ask(random);
        times.push(performance.now() - begin);
      }
      if (seed === 1) continue;
      times.sort((a, b) => a - b);
      const at = (part: number) => times[Math.floor(part * (RUNS - 1))]!.toFixed(1);
      console.log(
        `| ${name} | ${at(0.5)} | ${at(0.9)} | ${at(1)} | ${
          (rows / RUNS).toFixed(1)
        } | ${goalMs} |`,
      );
    }
  }
}

async function sizes(database: Database): Promise<void> {
  const [row] = await database.query(
    `select pg_total_relation_size('otel_data.signatures') / 1e6 as signatures_mb,
       pg_total_relation_size('otel_data.granule_terms') / 1e6 as terms_mb,
       (select count(*) from otel_data.signatures) as signatures,
       (select count(*) from otel_data.attribute_sets) as sets,
       (select sum(bytes) / 1e6 from otel.partitions where signal = 'traces') as spans_mb,
       (select sum(bytes) / 1e6 from otel.partitions where signal = 'logs') as logs_mb`,
  );
  console.log(row);
}

/** Newest spans that nobody has signed, more and more of them. */
async function tail(database: Database): Promise<void> {
  const filler = new Filler(database, upkeep(database), "traces", END_MS);
  const { spans } = await sample(database);
  console.log("\n| spans not signed | rare attribute p50 ms |\n|---|---|");
  for (let stored = 0, batch = 0; stored <= 400_000;) {
    const random = seeded(3);
    const times: number[] = [];
    for (let n = 0; n < RUNS; n++) {
      const text = `session.id = "${pick(random, spans).session}"`;
      const begin = performance.now();
      await reading(database, {}, (reader) =>
        scan(reader, {
          signal: "traces",
          filter: parseFilter(text),
          range: { since: nanos(START_MS), until: nanos(END_MS + DAY_MS) },
          limit: 20,
        }));
      times.push(performance.now() - begin);
    }
    times.sort((a, b) => a - b);
    console.log(`| ${stored} | ${times[RUNS / 2]!.toFixed(1)} |`);
    for (let n = 0; n < 12; n++, batch++) stored += await filler.batch(batch * 16_000, 1_000);
    // Tells the indexes of new pages, and signs nothing.
    await sign(database, { termBytes: 2 ** 40 });
  }
}

async function main(): Promise<void> {
  await using own = options.server === undefined
    ? await ownPostgresServer({
      settings: { shared_buffers: "2GB", max_wal_size: "8GB", autovacuum: "on", jit: "off" },
    })
    : undefined;
  const url = new URL(options.server ?? own!.url);
  {
    await using admin = pg(url.href, { maxConnections: 1 });
    const [found] = await admin.query("select from pg_database where datname = $1", [NAME]);
    if (found === undefined) {
      await admin.query(`create database ${NAME} template template0 encoding 'UTF8'`);
    }
  }
  url.pathname = `/${NAME}`;
  await using database = pg(url.href);
  await migrate(database);
  const [row] = await database.query<{ any: boolean }>(
    "select exists (select from otel_data.sealed) as any",
  );
  if (!row!.any) {
    for (const [signal, records] of [["traces", options.spans], ["logs", options.logs]] as const) {
      const begin = performance.now();
      await store(database, signal, Number(records));
      console.log(`${records} ${signal} stored in ${((performance.now() - begin) / 1000) | 0} s`);
    }
    const begin = performance.now();
    console.log(await upkeep(database).maintain());
    console.log(`sealed in ${((performance.now() - begin) / 1000) | 0} s`);
    await database.query("vacuum");
  }
  await sizes(database);
  await measured(database, "With nothing else to do");
  if (Number(options.load) > 0) {
    const load = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("search_data.ts", import.meta.url).href, url.href, options.load],
      stdout: "null",
    }).spawn();
    try {
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      await measured(database, `While ${options.load} spans a second are stored`);
    } finally {
      load.kill();
      await load.status;
    }
  }
  await tail(database);
}

await main();
