import fc from "fast-check";
import assert from "node:assert/strict";
import { parseFilter } from "../src/filter.ts";
import { encodeRequest } from "../src/otlp.ts";
import { scan } from "../src/query/scan.ts";
import { scanKey, scanKeyLength, type ScannedRow } from "../src/query/scan_key.ts";
import type { LogRecord, Span } from "../src/record.ts";
import { attribute, log, logs, resource, span, TIME, traces } from "./one_record.ts";
import { type OpenStore, openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const HOUR = 3_600_000_000_000n;
const SERVICES = ["shop", "cart", "pay"];

/** Times with what is odd about them: none, the same ones, a nanosecond apart, far past and future. */
const TIMES: readonly bigint[] = [
  0n,
  1n,
  TIME,
  TIME,
  TIME + 1n,
  TIME + 999n,
  TIME + 1000n,
  ...Array.from({ length: 120 }, (_, n) => TIME + BigInt(n % 60) * HOUR + BigInt(n >> 3)),
  0x78000000n << 32n,
  2n ** 64n - 1n,
];

function serviceOf(n: number): string | undefined {
  return n % 5 === 0 ? undefined : SERVICES[n % 3];
}

function originOf(service: string | undefined) {
  return { resource: resource(service === undefined ? [] : [attribute("service.name", service)]) };
}

async function fill({ adapter }: OpenStore): Promise<{ spans: Span[]; records: LogRecord[] }> {
  const spans = TIMES.map((time, n) =>
    span({
      spanId: (n + 1).toString(16).padStart(16, "0"),
      name: `op${n % 4}`,
      startTimeUnixNano: time,
      endTimeUnixNano: time + BigInt((n * 7919) % 50),
    })
  );
  const records = TIMES.map((time, n) => log({ timeUnixNano: time, eventName: String(n) }));
  for (const n of TIMES.keys()) {
    const from = originOf(serviceOf(n));
    await adapter.write("traces", encodeRequest("traces", traces([spans[n]!], from)));
    await adapter.write("logs", encodeRequest("logs", logs([records[n]!], from)));
  }
  await adapter.flush();
  return { spans, records };
}

for (const driver of drivers) {
  Deno.test(`a search gives every row once, page by page, in order: ${driver}`, async () => {
    await using store = await openStore(driver);
    const began = BigInt(Date.now()) * 1_000_000n;
    const { spans } = await fill(store);
    const now = BigInt(Date.now() + 1) * 1_000_000n;
    const { database } = store;

    const questions = fc.record({
      order: fc.constantFrom("newest" as const, "slowest" as const),
      limit: fc.integer({ min: 1, max: 40 }),
      columns: fc.constantFrom("all" as const, "ids" as const),
      service: fc.constantFrom(undefined, "shop", "cart", "nobody"),
      range: fc.constantFrom(
        { since: 0n, until: 2n ** 64n - 1n },
        { since: TIME, until: TIME + 1000n },
        { since: TIME + 1n, until: TIME + 30n * HOUR },
        { since: TIME - HOUR, until: TIME + HOUR + 1n },
        { since: 0n, until: 2n },
        { since: began, until: now },
      ),
    });
    await fc.assert(
      fc.asyncProperty(questions, async ({ order, limit, columns, service, range }) => {
        const filter = parseFilter(service === undefined ? "" : `service = ${service}`);
        const expected = spans.flatMap((record, n) => {
          const time = record.startTimeUnixNano;
          // What came without a time has that of its arrival.
          const within = time === 0n
            ? range.since <= began && now <= range.until
            : range.since <= time && time < range.until;
          // … and no duration.
          const isRanked = order === "newest" || time > 0n;
          const isMeant = service === undefined || serviceOf(n) === service;
          return within && isRanked && isMeant ? [record] : [];
        });
        const found: ScannedRow[] = [];
        let before: bigint[] | undefined;
        while (true) {
          const search = {
            signal: "traces" as const,
            filter,
            range,
            limit,
            order,
            columns,
            before,
          };
          const rows = await scan(database, search);
          assert.ok(rows.length <= limit);
          found.push(...rows);
          if (rows.length < limit) break;
          before = scanKey(rows.at(-1)!, order);
          assert.equal(before.length, scanKeyLength(order));
        }
        assert.deepEqual(
          found.map(({ span_id }) => Number(span_id)).sort((a, b) => a - b),
          expected.map(({ spanId }) => parseInt(spanId, 16)),
        );
        const ranks = found.map((row) => [
          ...order === "slowest" ? [row.duration_ns as bigint] : [],
          row.time_micros,
          BigInt(row.time_frac),
        ]);
        for (const [n, rank] of ranks.slice(1).entries()) {
          const at = rank.findIndex((part, index) => part !== ranks[n]![index]);
          assert.ok(at < 0 || rank[at]! < ranks[n]![at]!, `${ranks[n]} before ${rank}`);
        }
      }),
      { numRuns: 60 },
    );
  });
}

if (drivers.includes("postgres")) {
  Deno.test("a search of a range touches the partitions in it, and at most the default one", async () => {
    await using store = await openStore("postgres");
    const day = 24n * HOUR;
    const today = BigInt(Date.now()) * 1_000_000n / day * day;
    for (const daysAgo of [0n, 1n, 2n, 3n]) {
      const times = { startTimeUnixNano: today - daysAgo * day };
      await store.adapter.write(
        "traces",
        encodeRequest("traces", traces([span(times)], originOf("shop"))),
      );
      const record = log({ timeUnixNano: today - daysAgo * day });
      await store.adapter.write("logs", encodeRequest("logs", logs([record])));
    }
    await store.adapter.flush();
    const name = (daysAgo: bigint) =>
      new Date(Number((today - daysAgo * day) / 1_000_000n)).toISOString().slice(0, 10).replaceAll(
        "-",
        "",
      );
    const plans: string[] = [];
    const explained = {
      query: async (sql: string, parameters: readonly never[] = []) => {
        const plan = await store.database.query(`explain ${sql}`, parameters);
        plans.push(plan.map((row) => Object.values(row)[0]).join("\n"));
        return await store.database.query(sql, parameters);
      },
    };
    for (const [text, signal] of [["status != error", "traces"], ["", "logs"]] as const) {
      for (const order of ["newest", "slowest"] as const) {
        if (signal === "logs" && order === "slowest") continue;
        plans.length = 0;
        await scan(explained as never, {
          signal,
          filter: parseFilter(text),
          range: { since: today - 2n * day + HOUR, until: today },
          limit: 1000,
          order,
        });
        const tables = plans.join("\n").match(/\b(spans|logs)_(default|\d+)\b/g) ?? [];
        const table = signal === "traces" ? "spans" : "logs";
        assert.deepEqual(
          [...new Set(tables)].filter((name) => !name.endsWith("default")).toSorted(),
          // Where the slowest can be is known.
          [2n, 1n].slice(order === "slowest" ? 1 : 0).map((daysAgo) => `${table}_${name(daysAgo)}`),
          plans.join("\n\n"),
        );
      }
    }
  });
}
