import assert from "node:assert/strict";
import { z } from "zod";
import { checked, QueryError } from "../src/query/query_error.ts";
import { RANGE_FIELDS, rangeOf } from "../src/query/range.ts";

const NOW = 1_760_000_000_000_000_000n;
const HOUR = 3_600_000_000_000n;

Deno.test("a range is the last hour unless it is named", () => {
  assert.deepEqual(rangeOf({}, NOW), { since: NOW - HOUR, until: NOW });
  assert.deepEqual(rangeOf({ lastMs: 1 }, NOW), { since: NOW - 1_000_000n, until: NOW });
  assert.deepEqual(rangeOf({ since: 5n }, NOW), { since: 5n, until: NOW });
  assert.deepEqual(rangeOf({ until: HOUR + 5n }, NOW), { since: 5n, until: HOUR + 5n });
  assert.deepEqual(rangeOf({ until: 5n }, NOW), { since: 0n, until: 5n });
  assert.deepEqual(rangeOf({ since: 7n, until: 7n }, NOW), { since: 7n, until: 7n });
});

Deno.test("a range that is inverted, or told twice, is refused by name", () => {
  const refused = (options: Parameters<typeof rangeOf>[0], parameter: string) =>
    assert.throws(
      () => rangeOf(options, NOW),
      (error: unknown) => error instanceof QueryError && error.parameter === parameter,
    );
  refused({ since: 8n, until: 7n }, "since");
  refused({ since: NOW + 1n }, "since");
  refused({ since: 1n, lastMs: 5 }, "lastMs");
});

Deno.test("a bound that is no time is refused with its name and value", () => {
  const schema = z.object(RANGE_FIELDS);
  const refused = (options: object, message: RegExp) =>
    assert.throws(() => checked(schema, options), { name: "QueryError", message });
  refused({ since: -1n }, /'since': -1n/);
  refused({ until: 2n ** 64n }, /'until': 18446744073709551616n/);
  refused({ since: 5 }, /'since': 5 /);
  refused({ lastMs: 0 }, /'lastMs': 0 /);
  refused({ lastMs: 1.5 }, /'lastMs': 1.5 /);
  refused({ lastMs: 1e300 }, /'lastMs': 1e\+300 /);
  refused("text" as unknown as object, /'options': 'text'/);
});
