/** What a live tail chooses is what a search chooses, and its records are those that are read back. */

import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import { receivedLogs } from "../src/postgres/received.ts";
import { type LogTailOptions, QueryError, searchLogs, type Stored } from "../src/query.ts";
import { tailChoice } from "../src/query/log_tail.ts";
import type { AnyValue, ExportRequests, KeyValue, LogRecord } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
import { log, resource, TIME } from "./one_record.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const ALL = { since: 0n, until: 2n ** 64n - 1n, limit: 1_000 };
const KEYS = ["a", "b", "odd key", "nul\0", "status", "é"];
const TRACE_IDS = ["5b8efff798038103d269b633813fc60c", "0".repeat(32), ""];

const text = fc.constantFrom(
  ..."abc ABC 1 1.0 1.50 2.5 -3 true null NaN [1] {} shop é ﻿ \ue000 \u{10000} \0 disk_full".split(
    " ",
  ),
  "",
  "Disk full, 1 of 2",
  "the disk-full\nof shop",
  "ошибка disk",
  'a "quoted" \\ one \u0001',
);
const number = fc.oneof(
  fc.constantFrom(1, 2.5, -3, -0, 1e-7, 1.25e-300, 5e-324, 1e21, 123456789012345680000, 0.1),
  fc.constantFrom(NaN, Infinity, -Infinity),
  fc.double(),
);
const integer = fc.oneof(
  fc.constantFrom(0n, 1n, -3n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

const { value, entries } = fc.letrec<{ value: AnyValue; entries: KeyValue[] }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    text.map((stringValue) => ({ stringValue })),
    number.map((doubleValue) => ({ doubleValue })),
    integer.map((intValue) => ({ intValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    fc.uint8Array({ maxLength: 4 }).map((bytesValue) => ({ bytesValue })),
    fc.constant({}),
    fc.array(tie("value"), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
    tie("entries").map((values) => ({ kvlistValue: { values } })),
  ),
  entries: fc.array(
    fc.record({ key: fc.constantFrom(...KEYS), value: tie("value") }, { requiredKeys: ["key"] }),
    { maxLength: 4 },
  ),
}));

const record = fc.record({
  timeUnixNano: fc.constantFrom(TIME, TIME + 1n, 0n),
  observedTimeUnixNano: fc.constantFrom(TIME + 2n, 0n),
  severityNumber: fc.oneof(
    fc.integer({ min: 0, max: 24 }),
    fc.constantFrom(-1, 40_000, 2 ** 31 - 1),
  ),
  body: fc.option(value, { nil: undefined }),
  attributes: entries,
  traceId: fc.constantFrom(...TRACE_IDS),
  spanId: fc.constantFrom("00f067aa0ba902b7", "0".repeat(16), ""),
});

/** A request of records by resource; each record is called by its number. */
const request: fc.Arbitrary<ExportRequests["logs"]> = fc.array(
  fc.tuple(
    fc.option(value, { nil: undefined }),
    entries,
    fc.array(record, { minLength: 1, maxLength: 12 }),
  ),
  { minLength: 10, maxLength: 16 },
).map((groups) => {
  let n = 0;
  return {
    resourceLogs: groups.map(([service, attributes, records]) => ({
      resource: resource([
        ...attributes,
        ...service === undefined ? [] : [{ key: "service.name", value: service }],
      ]),
      schemaUrl: "",
      scopeLogs: [{
        schemaUrl: "",
        logRecords: records.map(({ body, ...rest }) =>
          log({ ...rest, ...body && { body }, eventName: String(n++) })
        ),
      }],
    })),
  };
});

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

const written = fc.oneof(
  text.map(quoted),
  fc.constantFrom(
    "1",
    "1.0",
    "2.50",
    "-3",
    "1e21",
    "1e-7",
    "9007199254740992",
    "0.1",
    "1e999",
    "0",
  ),
  fc.tuple(fc.integer(), fc.integer({ min: -30, max: 30 })).map(([n, e]) => `${n}e${e}`),
);
const target = fc.oneof(
  fc.constantFrom(...KEYS).map(quoted),
  fc.constantFrom(...KEYS).map((key) => `resource.${quoted(key)}`),
  fc.constantFrom("resource.service.name", "service", "text", "nobody"),
);
const filter = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    fc.tuple(target, fc.constantFrom("=", "!=", "<", "<=", ">", ">="), written)
      .map((parts) => parts.join(" ")),
    fc.tuple(target, fc.constantFrom("disk", "FULL", "disk_full", '"1 Of"', "abc", "true", "2"))
      .map(([name, words]) => `${name} has ${words}`),
    target.map((name) => `${name} exists`),
    fc.tuple(
      fc.constantFrom("=", "!=", "<", "<=", ">", ">="),
      fc.constantFrom("warn", "9", "fatal"),
    )
      .map(([operator, name]) => `severity ${operator} ${name}`),
    fc.constant("severity exists"),
    tie("filter").map((part) => `not (${part})`),
    fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a} or ${b})`),
    fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a}) (${b})`),
  ),
})).filter;
const options: fc.Arbitrary<LogTailOptions> = fc.record({
  filter,
  service: fc.constantFrom("shop", "1", "abc", "[1]", "{}"),
  minSeverity: fc.integer({ min: 1, max: 24 }),
  text: fc.constantFrom("disk", "Full DISK", "1", "shop of"),
  traceId: fc.constantFrom(TRACE_IDS[0]!.toUpperCase(), "1".repeat(32)),
  spanId: fc.constantFrom("00f067aa0ba902b7", "1".repeat(16)),
}, { requiredKeys: [] });
const choice = fc.oneof(filter.map((filter): LogTailOptions => ({ filter })), options);

/** One record as a request, in its canonical form. */
function canonical({ record, ...origin }: Stored<LogRecord>): string[] {
  const { resource, resourceSchemaUrl, scope, scopeSchemaUrl } = origin;
  return canonicalise("logs", {
    resourceLogs: [{
      resource,
      schemaUrl: resourceSchemaUrl,
      scopeLogs: [{ scope, schemaUrl: scopeSchemaUrl, logRecords: [record] }],
    }],
  });
}

/** The names of what is chosen, or that it was refused. */
async function named(choose: () => Promise<string[]>): Promise<string[] | "refused"> {
  try {
    return (await choose()).sort();
  } catch (error) {
    if (error instanceof QueryError) return "refused";
    throw error;
  }
}

const driver = drivers[0]!;
Deno.test(`a tail chooses what a search chooses: ${driver}`, async () => {
  await using store = await openStore(driver);
  const body = encodeRequest(
    "logs",
    {
      resourceLogs: fc.sample(request, { numRuns: 6, seed: 42 }).flatMap((one) => one.resourceLogs),
    },
  );
  const request6 = decodeRequest("logs", body);
  // Each of the six has counted from 0.
  let n = 0;
  for (const { scopeLogs } of request6.resourceLogs) {
    for (const record of scopeLogs[0]!.logRecords) record.eventName = String(n++);
  }
  const sent = encodeRequest("logs", request6);
  const { accepted } = await store.adapter.write("logs", sent);
  const received = receivedLogs(sent);
  assert.equal(received.length, accepted);
  assert.ok(accepted > 300 && accepted <= ALL.limit, String(accepted));

  const { logs } = await searchLogs(store.database, ALL);
  const stored = new Map(logs.map((log) => [log.record.eventName, log]));
  for (const log of received) {
    assert.deepEqual(canonical(log), canonical(stored.get(log.record.eventName)!));
  }

  let some = 0;
  await fc.assert(
    fc.asyncProperty(choice, async (options) => {
      const found = await named(async () =>
        (await searchLogs(store.database, { ...options, ...ALL }))
          .logs.map(({ record }) => record.eventName)
      );
      const chosen = await named(() => {
        const { matches } = tailChoice(options);
        return Promise.resolve(received.filter(matches).map(({ record }) => record.eventName));
      });
      assert.deepEqual(chosen, found);
      if (found.length > 0 && found.length < accepted && found !== "refused") some++;
    }),
    { numRuns: 600 },
  );
  assert.ok(some > 100, `${some} choices were neither none nor all`);
});

Deno.test("a tail refuses what only Postgres can say, and what no log record has", () => {
  for (
    const filter of [
      'a ~ "^b"',
      'not resource.a !~ "(x+x+)+y"',
      "duration > 1s",
      "kind = server",
      "a =",
      'a != "\0"',
      '"\0" exists',
    ]
  ) {
    assert.throws(
      () => tailChoice({ filter }),
      (error) => error instanceof QueryError && error.parameter === "filter",
      filter,
    );
  }
  for (
    const [parameter, options] of [
      ["text", { text: "..." }],
      ["after", { after: "yesterday" }],
      ["after", { after: `${2n ** 64n}-0` }],
      ["traceId", { traceId: "5b8e" }],
      ["minSeverity", { minSeverity: 25 }],
    ] as const
  ) {
    assert.throws(
      () => tailChoice(options),
      (error) => error instanceof QueryError && error.parameter === parameter,
    );
  }
});

Deno.test("whole words are letters, digits and _, in any language and either case", () => {
  const chosen = (text: string, words: string) =>
    tailChoice({ text: words }).matches({
      ...receivedLogs(encodeRequest("logs", {
        resourceLogs: [{
          schemaUrl: "",
          scopeLogs: [{ schemaUrl: "", logRecords: [log({ body: { stringValue: text } })] }],
        }],
      }))[0]!,
    });
  assert.ok(chosen("état: Ошибка", "ÉTAT ошибка"));
  assert.ok(!chosen("état", "tat"));
  assert.ok(!chosen("timeouts", "timeout"));
  assert.ok(chosen("time-out", "OUT time"));
});
