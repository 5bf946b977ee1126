/** The HTTP API over the shop's telemetry: whatever it is asked, it answers as its document says. */

import fc from "fast-check";
import assert from "node:assert/strict";
import {
  ajv,
  apiOf,
  ASKED,
  documentOf,
  TAIL,
  traceId,
  valid,
  validEvents,
  validJson,
} from "./asked_api.ts";
import { drivers } from "./postgres.ts";
import { END, FIRST, shopDatabase } from "./shop_world.ts";

/** Requests of a test. */
const FUZZ = 10_000;

for (const driver of drivers) {
  Deno.test(`whatever is asked of the API, it is no failure of the server: ${driver}`, async () => {
    const database = await shopDatabase(driver);
    const get = apiOf(() => Promise.resolve(database), { queryTimeoutMs: 2_000 });
    const document = await documentOf(get);
    const hostile = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.constantFrom(
        ...[
          "",
          "'",
          '"; drop table otel_data.spans; --',
          "\0",
          "%00",
          "\ud800",
          "-1",
          "1e999",
          "9".repeat(400),
        ],
        ...[
          "NaN",
          "null",
          "__proto__",
          "(a+)+$",
          'a ~ "(x+x+)+y"',
          "((((((((",
          "2h",
          "0",
          String(FIRST),
          String(END),
        ],
        ...[
          "18446744073709551615",
          "18446744073709551616",
          "2100-01-01T00:00:00Z",
          "true",
          "shop",
          "latency",
        ],
        ...[
          traceId,
          "GET /",
          "SERVER",
          "slowest",
          "operation",
          "quantile",
          "http.route exists",
          "$1",
          "{}",
          "[]",
        ],
      ),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    );
    // Half of them change a question that is answered from what is stored, so that what is hostile
    // comes as far as the database.
    const problem = ajv.compile(document.components.schemas.Problem);
    const answers = new Map(
      Object.entries(document.paths).map(([path, { get: { responses } }]) => {
        const [schema] = Object.values(responses[200]!.content).map(({ schema }) => schema);
        return [path, path === TAIL ? validEvents(schema!) : validJson(ajv.compile(schema!))];
      }),
    );
    const asked = fc.constantFrom(...Object.entries(document.paths)).chain(([path, { get }]) => {
      const names = get.parameters.filter((one) => one.in === "query").map(({ name }) => name);
      return fc.record({
        path: fc.constant(path),
        url: fc.oneof(
          fc.constantFrom(...ASKED[path]!),
          hostile.map((own) => path.replace(/\{.*\}/, encodeURIComponent(own.toWellFormed()))),
        ),
        given: fc.array(fc.tuple(fc.constantFrom(...names), hostile), { maxLength: 3 }),
      });
    });
    const statuses = new Map<number, number>();
    const answered = new Set<string>();
    await fc.assert(
      fc.asyncProperty(asked, async ({ path, url: base, given }) => {
        const { pathname, searchParams } = new URL(base, "http://localhost");
        for (const [name, value] of given) searchParams.set(name, value.toWellFormed());
        const url = `${pathname}?${searchParams}`;
        const response = await get(url);
        const text = await response.text();
        if (response.status === 200) {
          answers.get(path)!(text, url);
          answered.add(path);
        } else {
          valid(problem, JSON.parse(text), url);
          assert.ok(response.status in document.paths[path]!.get.responses, url);
        }
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        assert.ok(response.status < 500 || response.status === 504, `${url}: ${response.status}`);
      }),
      { numRuns: FUZZ },
    );
    assert.deepEqual([...answered].toSorted(), Object.keys(ASKED).toSorted());
    assert.ok(statuses.get(400)! > 0, [...statuses].join(" "));
  });
}
