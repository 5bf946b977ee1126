import fc from "fast-check";
import assert from "node:assert/strict";
import {
  type Filter,
  FilterError,
  type FilterField,
  type FilterOperator,
  MAX_FILTER_LENGTH,
  parseFilter,
} from "../src/filter.ts";
import { FilterFieldError, filterSql } from "../src/filter_sql.ts";
import type { Database, SqlValue } from "../src/postgres/database.ts";
import type { Signal } from "../src/record.ts";
import { drivers, migratedDatabase } from "./postgres.ts";

function attribute(key: string, of: "record" | "resource" = "record") {
  return { kind: "attribute", of, key } as const;
}

function field(name: FilterField) {
  return { kind: "field", name } as const;
}

function compare(
  target: ReturnType<typeof attribute> | ReturnType<typeof field>,
  operator: FilterOperator,
  value: string,
  isNumber = false,
): Filter {
  return { kind: "compare", target, operator, value, isNumber };
}

const READ: readonly (readonly [text: string, filter: Filter])[] = [
  ["", { kind: "and", parts: [] }],
  ["  ", { kind: "and", parts: [] }],
  ["service = shop", compare(field("service"), "=", "shop")],
  ["service=shop", compare(field("service"), "=", "shop")],
  ["SERVICE = Shop", compare(field("service"), "=", "Shop")],
  ['operation = "GET /cart"', compare(field("operation"), "=", "GET /cart")],
  ["kind = server", compare(field("kind"), "=", "SERVER")],
  ["status != Error", compare(field("status"), "!=", "ERROR")],
  ["duration > 250ms", compare(field("duration"), ">", "250000000", true)],
  ["duration <= 1.5µs", compare(field("duration"), "<=", "1500", true)],
  ["severity >= warn", compare(field("severity"), ">=", "13", true)],
  ["severity > warn", compare(field("severity"), ">", "16", true)],
  ["severity < 9", compare(field("severity"), "<", "9", true)],
  ["severity = error", {
    kind: "and",
    parts: [
      compare(field("severity"), ">=", "17", true),
      compare(field("severity"), "<=", "20", true),
    ],
  }],
  ["http.route ~ ^/api", compare(attribute("http.route"), "~", "^/api")],
  ["http.status = 200", compare(attribute("http.status"), "=", "200", true)],
  ["http.status = -1.5e3", compare(attribute("http.status"), "=", "-1.5e3", true)],
  ['http.status = "200"', compare(attribute("http.status"), "=", "200")],
  ["resource.host.name = a", compare(attribute("host.name", "resource"), "=", "a")],
  ['resource."odd key" = a', compare(attribute("odd key", "resource"), "=", "a")],
  ["attributes.kind = a", compare(attribute("kind"), "=", "a")],
  ["text has Disk", compare(field("text"), "has", "Disk")],
  ['text has "disk full"', compare(field("text"), "has", "disk full")],
  ["has has 5", compare(attribute("has"), "has", "5")],
  ['"and" exists', { kind: "exists", target: attribute("and") }],
  ['"a\\"b\\\\" = "c\\"d"', compare(attribute('a"b\\'), "=", 'c"d')],
  ["a = 1 b = 2 or not c exists and (d = 3)", {
    kind: "or",
    parts: [
      {
        kind: "and",
        parts: [compare(attribute("a"), "=", "1", true), compare(attribute("b"), "=", "2", true)],
      },
      {
        kind: "and",
        parts: [
          { kind: "not", part: { kind: "exists", target: attribute("c") } },
          compare(attribute("d"), "=", "3", true),
        ],
      },
    ],
  }],
];

for (const [text, filter] of READ) {
  Deno.test(`filter reads: ${text || "nothing"}`, () => {
    assert.deepEqual(parseFilter(text), filter);
  });
}

const REFUSED: readonly (readonly [text: string, at: number, says: RegExp])[] = [
  ["service", 7, /expected = .* not the end/],
  ["service =", 9, /expected a value, not the end/],
  ["= shop", 0, /expected a field, not =/],
  ["service = shop)", 14, /"\)" does not belong here/],
  ["(service = shop", 15, /expected "\)", not the end/],
  ["a = 1 or", 8, /expected a field/],
  ['a = "open', 4, /the quote is not closed/],
  ["a ! b", 2, /"!"/],
  ["duration > 5", 11, /no duration, such as 250ms/],
  ["duration > ms", 11, /no duration/],
  ["severity > loud", 11, /no severity: TRACE/],
  ["severity = 25", 11, /no severity/],
  ["severity ~ warn", 11, /a severity is a number: ~ is for texts/],
  ["duration !~ 5ms", 12, /a duration is a number/],
  ["duration has 5ms", 13, /a duration is a number/],
  ["a has ...", 6, /no word in "..."/],
  ["a has", 5, /expected a value/],
  ["kind = house", 7, /none of UNSPECIFIED, INTERNAL/],
  ["status = 3", 9, /none of UNSET/],
  ["resource. = 1", 0, /name of an attribute after "resource\."/],
  [`${"(".repeat(65)}a = 1${")".repeat(65)}`, 64, /nests deeper than 64/],
  [`${"not ".repeat(65)}a = 1`, 256, /nests deeper than 64/],
  [`a = ${"x".repeat(4096)}`, 4096, /longer than 4096/],
];

for (const [text, at, says] of REFUSED) {
  Deno.test(`filter refuses, and says where: ${text.slice(0, 30)}`, () => {
    assert.throws(() => parseFilter(text), (error: unknown) => {
      assert.ok(error instanceof FilterError);
      assert.equal(error.at, at);
      assert.match(error.message, says);
      return true;
    });
  });
}

/** Parses a text, which has to give a filter no larger than the text and its SQL, or a refusal. */
function readOrRefused(text: string): void {
  let filter: Filter;
  try {
    filter = parseFilter(text);
  } catch (error) {
    assert.ok(error instanceof FilterError, String(error));
    assert.ok(error.at >= 0 && error.at <= text.length);
    return;
  }
  const { parts, depth } = sizeOf(filter);
  assert.ok(parts <= text.length + 1, `${parts} parts of ${text}`);
  // As deep as it may nest, each level an `or` of `and`s, and the `and` of a severity.
  assert.ok(depth <= 3 * 64 + 3, `${depth} deep: ${text}`);
  for (const signal of ["traces", "logs", "metrics"] as const) {
    try {
      let parameters = 0;
      const sql = filterSql(filter, signal, () => `$${++parameters}`);
      assert.ok(sql.length <= 1000 * parts);
    } catch (error) {
      assert.ok(error instanceof FilterFieldError, String(error));
    }
  }
}

function sizeOf(filter: Filter): { parts: number; depth: number } {
  const inner = filter.kind === "not" ? [filter.part] : "parts" in filter ? filter.parts : [];
  const sizes = inner.map(sizeOf);
  return {
    parts: 1 + sizes.reduce((sum, { parts }) => sum + parts, 0),
    depth: 1 + Math.max(0, ...sizes.map(({ depth }) => depth)),
  };
}

Deno.test("filter reads or refuses any text, and nothing else happens", () => {
  const pieces = fc.constantFrom(
    ..."service duration severity and or not exists ( ) = != < ~ a.b resource. 5ms 1 warn".split(
      " ",
    ),
    '"q u"',
    '"',
    "\\",
    "\u0000",
    "é😀",
  );
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(pieces, { maxLength: 20 }).map((parts) => parts.join(" ")),
    fc.array(pieces, { maxLength: 20 }).map((parts) => parts.join("")),
  );
  fc.assert(fc.property(texts, readOrRefused), { numRuns: 100_000 });
});

Deno.test("filter reads or refuses the longest texts of one piece over and over", () => {
  const pieces = [
    "(",
    ")",
    "not ",
    "a=1 ",
    "a=1 or ",
    "a exists ",
    "severity=warn ",
    '"',
    '"\\',
    "\\",
  ]
    .concat([
      "a",
      "=",
      "1e9",
      "(a=1 or ",
      "not(a=1 ",
      " ",
      "!",
      "~",
      "resource.",
      '"a" = "b" and ',
    ]);
  for (const piece of pieces) {
    for (const end of ["", "a=1", '"', ")"]) {
      const body = piece.repeat((MAX_FILTER_LENGTH - end.length) / piece.length);
      readOrRefused(body + end);
      readOrRefused(piece.repeat(60) + "a=1" + ")".repeat(60));
    }
  }
});

Deno.test("filter names what the records of a signal do not have", () => {
  const fails = (text: string, signal: Signal) =>
    assert.throws(() => filterSql(parseFilter(text), signal, () => "$1"), FilterFieldError);
  fails("duration > 1s", "logs");
  fails("severity > warn", "traces");
  fails("not (a = 1 or kind = server)", "metrics");
});

/** Records by attributes, and how a filter chooses among them, computed without SQL. */
const VALUES = [1, 2.5, -3, "1", "2.5", "abc", "ABC", "", true, null, [1], { x: 1 }, "1 of abc-2"];

type Sample = Readonly<Record<string, unknown>>;

function chooses(filter: Filter, sample: Sample): boolean {
  switch (filter.kind) {
    case "and":
      return filter.parts.every((part) => chooses(part, sample));
    case "or":
      return filter.parts.some((part) => chooses(part, sample));
    case "not":
      return !chooses(filter.part, sample);
    case "exists":
      return filter.target.kind === "attribute" && filter.target.key in sample;
    case "compare": {
      assert.equal(filter.target.kind, "attribute");
      const value = sample[(filter.target as { key: string }).key];
      if (value === undefined || value === null) return false;
      if (filter.isNumber && typeof value === "number") {
        return compares(value, filter.operator, Number(filter.value));
      }
      if (filter.isNumber && filter.operator !== "=" && filter.operator !== "!=") return false;
      // jsonb prints a blank after separators.
      const text = typeof value === "string"
        ? value
        : JSON.stringify(value).replaceAll(":", ": ").replaceAll(",", ", ");
      return compares(text, filter.operator, filter.value);
    }
  }
}

function compares<T extends string | number>(a: T, operator: FilterOperator, b: T): boolean {
  switch (operator) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
    case "~":
      return new RegExp(String(b)).test(String(a));
    case "!~":
      return !new RegExp(String(b)).test(String(a));
    case "has": {
      const words = (text: string) => text.toLowerCase().split(/[^a-z0-9_]+/);
      return words(String(b)).filter(Boolean).every((word) => words(String(a)).includes(word));
    }
  }
}

const OPERATORS = fc.constantFrom("=", "!=", "<", "<=", ">", ">=");
const filterTexts = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    fc.tuple(
      fc.constantFrom("a", "b", '"odd key"'),
      OPERATORS,
      fc.constantFrom("1", "2.5", "-3", "abc", "true", '""', '"1"', "'"),
    ).map((parts) => parts.join(" ")),
    fc.constantFrom(
      "a ~ b",
      'b !~ "^[0-9]"',
      "a exists",
      '"odd key" exists',
      "a has Abc",
      'b has "ABC, 1"',
      "a has 2",
      'b has "a b"',
    ),
    tie("filter").map((part) => `not ${part}`),
    fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a} or ${b})`),
    fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => `(${a}) ${b}`),
  ),
})).filter;

/** Stores a sample in every way: in its row, all of it shared, all of it its own, and half and half. */
async function insertSample(database: Database, n: number, sample: Sample): Promise<void> {
  const keys = Object.keys(sample);
  const ways = [undefined, keys, [], keys.slice(0, 1)];
  for (const [way, shared] of ways.entries()) {
    const own = keys.filter((key) => shared !== undefined && !shared.includes(key));
    const isText = own.map((key) => typeof sample[key] === "string");
    await database.query(
      "insert into samples values ($1::int, $2::jsonb, $3::int, $4::text[])",
      [
        n + 1,
        shared === undefined ? JSON.stringify(sample) : null,
        n * ways.length + way,
        own.length === 0
          ? null
          : own.map((key, n) => isText[n] ? String(sample[key]) : JSON.stringify(sample[key])),
      ],
    );
    if (shared === undefined) continue;
    await database.query("insert into sets values ($1::int, $2::jsonb, $3::text[], $4)", [
      n * ways.length + way,
      JSON.stringify(Object.fromEntries(shared.map((key) => [key, sample[key]]))),
      own,
      isText.every((is) => is) ? null : isText.map((is) => is ? "s" : "j").join(""),
    ]);
  }
}

for (const driver of drivers) {
  Deno.test(`filter in SQL chooses what it says: ${driver}`, async () => {
    await using store = await migratedDatabase(driver);
    const { database } = store;
    await database.execute(
      `create table samples (id int, attributes jsonb, set_id int, attribute_values text[]);
       create table sets (id int, attributes jsonb, own_keys text[], own_types text);`,
    );
    const samples: Sample[] = VALUES.flatMap((a) => [
      { a },
      { b: a },
      ...VALUES.map((b) => ({ a, b, "odd key": b })),
    ]);
    samples.push({});
    for (const [n, sample] of samples.entries()) await insertSample(database, n, sample);
    await fc.assert(
      fc.asyncProperty(filterTexts, async (text) => {
        const filter = parseFilter(text);
        const parameters: SqlValue[] = [];
        const condition = filterSql(filter, "logs", (value) => `$${parameters.push(value)}`);
        const rows = await database.query<{ id: number }>(
          `select t.id from samples t left join sets a on a.id = t.set_id
           where ${condition} order by t.id`,
          parameters,
        );
        const expected = samples.flatMap((sample, n) => chooses(filter, sample) ? [n + 1] : []);
        assert.deepEqual(rows.map(({ id }) => id), expected.flatMap((n) => [n, n, n, n]), text);
      }),
      { numRuns: 200 },
    );
  });
}
