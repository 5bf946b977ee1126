import fc from "fast-check";
import assert from "node:assert/strict";
import { cursorOf, positionOf, type Question } from "../src/query/cursor.ts";
import { QueryError } from "../src/query/query_error.ts";

const POSITION = { range: { since: 1n, until: 2n ** 64n - 1n }, key: [5n, -1n, 2n ** 63n - 1n] };
const QUESTION: Question = { query: "logs", options: { text: "timeout" } };

function refused(cursor: string, question: Question = QUESTION): void {
  assert.throws(() => positionOf(question, cursor, 3), (error: unknown) => {
    assert.ok(error instanceof QueryError);
    assert.equal(error.parameter, "cursor");
    return true;
  });
}

Deno.test("a cursor gives back the range and the key it was made of", () => {
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(fc.property(uint64, uint64, fc.array(int64, { minLength: 0 }), (since, until, key) => {
    const position = { range: { since, until }, key: key.slice(0, 6) };
    assert.deepEqual(
      positionOf(QUESTION, cursorOf(QUESTION, position), position.key.length),
      position,
    );
  }));
});

Deno.test("a cursor is taken with another limit, and options in another order or not set", () => {
  const cursor = cursorOf(QUESTION, POSITION);
  const options = { limit: 5, cursor, filter: undefined, text: "timeout" };
  assert.deepEqual(positionOf({ query: "logs", options }, cursor, 3), POSITION);
});

Deno.test("a cursor of another query, or of other options, is refused", () => {
  const cursor = cursorOf(QUESTION, POSITION);
  const { query, options } = QUESTION;
  refused(cursorOf(QUESTION, { ...POSITION, key: [1n, 2n] }));
  refused(cursor, { query: "traces", options });
  refused(cursor, { query, options: { ...options, text: "time" } });
});

Deno.test("a cursor has a range: it may be left out or said again, and another is refused", () => {
  const { query, options } = QUESTION;
  const minute = { range: { since: 5n, until: 60_000_000_005n }, key: [1n, 2n, 3n] };
  const { since, until } = minute.range;
  // Whatever the first page was asked with.
  for (const first of [{}, { since }, { since, until }, { lastMs: 60_000 }]) {
    const cursor = cursorOf({ query, options: { ...options, ...first } }, minute);
    for (const own of [{}, { since }, { until }, { since, until }, { lastMs: 60_000, until }]) {
      const again = { query, options: { ...options, ...own } };
      assert.deepEqual(positionOf(again, cursor, 3), minute);
    }
    const others = [{ since: 6n }, { since, until: 7n }, { lastMs: 59_999 }, { lastMs: 60_001 }];
    for (const other of others) {
      assert.throws(
        () => positionOf({ query, options: { ...options, ...other } }, cursor, 3),
        /of another range: leave it out, or say since 5 and until 60000000005/,
      );
    }
  }
  const early = { range: { since: 0n, until: 9n }, key: [1n] };
  assert.deepEqual(
    positionOf({ query, options: { lastMs: 60_000 } }, cursorOf({ query, options: {} }, early), 1),
    early,
  );
});

Deno.test("a cursor with any character changed is refused, and so is any other text", () => {
  const cursor = cursorOf(QUESTION, POSITION);
  for (let at = 0; at < cursor.length; at++) {
    for (const character of ["A", "z", "_", "é"]) {
      const damaged = cursor.slice(0, at) + character + cursor.slice(at + 1);
      if (atob(damaged.replace(/_/g, "/").replace(/é/g, "")) !== atob(cursor)) refused(damaged);
    }
  }
  refused("");
  refused("a".repeat(100_000));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => refused(text)));
});
