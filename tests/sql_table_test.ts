import assert from "node:assert/strict";
import { drawTable } from "../src/sql_table.ts";

Deno.test("a table has a column a name, numbers to the right, and counts its rows", () => {
  assert.equal(
    drawTable([
      '{"name":"GET /","spans":12,"root":true,"parent":null}',
      '{"name":"POST","spans":3456,"root":false,"parent":"a"}',
    ]),
    [
      "name  │ spans │ root  │ parent",
      "──────┼───────┼───────┼───────",
      "GET / │    12 │ true  │",
      "POST  │  3456 │ false │ a",
      "(2 rows)",
      "",
    ].join("\n"),
  );
  assert.equal(drawTable(['{"n":1}']), "n\n─\n1\n(1 row)\n");
  assert.equal(drawTable([]), "(0 rows)\n");
});

Deno.test("a table shows numbers as they are written, nested ones too", () => {
  const line = '{"n":18446744073709551615,"x":1.0,"o":{"a":[9007199254740993,1.50]}}';
  assert.equal(
    drawTable([line]).split("\n")[2],
    '18446744073709551615 │ 1.0 │ {"a":[9007199254740993,1.50]}',
  );
});

Deno.test("a table escapes what would move the cursor and cuts what is long", () => {
  const cells = JSON.stringify({ text: "a\nb\x1b[31m\u202e\u009b", long: "x".repeat(200) });
  const [, , row] = drawTable([cells]).split("\n");
  assert.equal(row, `a\\nb\\u{1b}[31m\\u{202e}\\u{9b} │ ${"x".repeat(79)}…`);
});
