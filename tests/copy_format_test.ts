import assert from "node:assert/strict";
import { copiedColumns, COPY_HEADER, COPY_TRAILER } from "../src/postgres/copy_format.ts";
import type { CopyTable } from "../src/postgres/database.ts";
import { arrayText } from "../src/postgres/values.ts";
import { oracleRows, SAMPLE, SAMPLE_SELECT, tuplesOf } from "./postgres_tuples.ts";

Deno.test("the header is the signature, no flags and no extension; the trailer is -1", () => {
  const signature = "PGCOPY\n\xff\r\n\0";
  assert.equal(String.fromCharCode(...COPY_HEADER), signature + "\0".repeat(8));
  assert.deepEqual([...COPY_TRAILER], [0xff, 0xff]);
});

Deno.test("tuples of every type become text that Postgres reads as the values they were made of", async () => {
  const chunk = await tuplesOf(SAMPLE_SELECT);
  const columns = copiedColumns(SAMPLE, chunk);
  for (const [index, { name, type }] of SAMPLE.columns.entries()) {
    const texts = arrayText(columns[index]!).replaceAll("'", "''");
    const [row] = await oracleRows(`
      select
        array(select "${name}"::text from (${SAMPLE_SELECT}) as rows) as expected,
        array(select text::${type}::text from unnest('${texts}'::text[]) as text) as read`);
    assert.deepEqual(row?.read, row?.expected, name);
  }
});

Deno.test("times of every 400-year cycle keep their microseconds", async () => {
  const table: CopyTable = { name: "t", columns: [{ name: "time", type: "timestamptz" }] };
  const select = `select '2000-02-29 12:34:56.000001Z'::timestamptz + n * interval '399 years 1 day'
    from generate_series(-16, 700) as n`;
  const [texts] = copiedColumns(table, await tuplesOf(select));
  const [row] = await oracleRows(`
    select array(${
    select.replace("select", "select (").replace("from", ")::text from")
  }) as expected,
      array(select text::timestamptz::text from unnest('${
    arrayText(texts!)
  }'::text[]) as text) as read`);
  assert.deepEqual(row?.read, row?.expected);
});

Deno.test("no tuples are no values in every column", () => {
  assert.deepEqual(copiedColumns(SAMPLE, new Uint8Array()), SAMPLE.columns.map(() => []));
});

const INT8: CopyTable = { name: "t", columns: [{ name: "a", type: "int8" }] };

for (
  const [name, table, bytes, message] of [
    ["a wrong number of fields", INT8, [0, 2], "2 fields for 1 columns"],
    ["a cut field count", INT8, [0], "Offset is outside the bounds of the DataView"],
    ["a cut length", INT8, [0, 1, 0, 0], "Offset is outside the bounds of the DataView"],
    ["a field past the end", INT8, [0, 1, 0, 0, 0, 8, 1], '"a" is 8 bytes long'],
    ["a field of the wrong width", INT8, [0, 1, 0, 0, 0, 1, 1], "1 bytes where 8 belong"],
    [
      "jsonb of an unknown version",
      { name: "t", columns: [{ name: "a", type: "jsonb" }] },
      [0, 1, 0, 0, 0, 1, 2],
      "jsonb that is not of version 1",
    ],
    [
      "an array of two dimensions",
      { name: "t", columns: [{ name: "a", type: "int8[]" }] },
      [0, 1, 0, 0, 0, 4, 0, 0, 0, 2],
      "an array of 2 dimensions",
    ],
  ] as const
) {
  Deno.test(`${name} is refused, naming table and byte`, () => {
    assert.throws(
      () => copiedColumns(table as CopyTable, Uint8Array.from(bytes)),
      (error: Error) => {
        assert.ok(error instanceof RangeError);
        assert.match(error.message, /^Cannot read a COPY tuple of t at byte \d+: /);
        assert.ok(error.message.endsWith(message), error.message);
        return true;
      },
    );
  });
}

Deno.test("text that is not UTF-8 is refused", () => {
  const table: CopyTable = { name: "t", columns: [{ name: "a", type: "text" }] };
  assert.throws(() => copiedColumns(table, Uint8Array.of(0, 1, 0, 0, 0, 1, 0xff)), RangeError);
});
