/** A trace that is read part by part, while more of it comes. */

import assert from "node:assert/strict";
import { textOf } from "../src/api_answers.ts";
import { encodeRequest } from "../src/otlp.ts";
import { getTraceTree, QueryError, type TraceTree } from "../src/query.ts";
import type { Span } from "../src/record.ts";
import { handler } from "../src/server.ts";
import type { TraceTree as TraceJson } from "../ui/frame/answers.ts";
import { joined } from "../ui/pages/trace/read_trace.ts";
import { attribute, log, logs, resource, span, TIME, traces } from "./one_record.ts";
import { observed, openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const TRACE = "5b8efff798038103d269b633813fc60c";
const SHOP = resource([attribute("service.name", "shop")]);
const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };

const id = (n: number) => BigInt.asUintN(64, BigInt(n)).toString(16).padStart(16, "0");

/** A span of one nanosecond that begins so many nanoseconds in. */
function at(ns: number, n: number, parent = 0, more: Partial<Span> = {}): Span {
  const startTimeUnixNano = TIME + BigInt(ns);
  return span({
    traceId: TRACE,
    spanId: id(n),
    parentSpanId: parent === 0 ? "" : id(parent),
    name: `span ${n}`,
    startTimeUnixNano,
    endTimeUnixNano: startTimeUnixNano + 1n,
    ...more,
  });
}

const request = (spans: Span[]) => encodeRequest("traces", traces(spans, { resource: SHOP }));
const namesOf = (parts: readonly TraceTree[]) =>
  parts.flatMap(({ spans }) => spans.map(({ record }) => record.name));

for (const driver of drivers) {
  Deno.test(`the parts of a trace have each span once, and together they are its tree: ${driver}`, async () => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    // Children before their parents, a circle, missing parents, ids with the highest bit, and times that
    // differ by a nanosecond, or by nothing.
    const spans = [
      at(50, 1),
      ...Array.from({ length: 40 }, (_, n) => at(n % 7 * 10, n + 2, n % 5 === 0 ? 99 : n / 2 | 1)),
      at(20, -5, 1),
      at(20, -6, 1),
      at(30, 201, 202),
      at(65, 202, 201),
      // One that was sent several times, and ended another time each time.
      ...[1n, 2n, 3n, 4n].map((ns) =>
        at(33, 300, 1, { name: `again ${ns}`, endTimeUnixNano: TIME + 33n + ns })
      ),
      at(0, 400, 1, { startTimeUnixNano: 0n, endTimeUnixNano: 0n, name: "without a start" }),
    ];
    await adapter.write("traces", request(spans));
    await adapter.write("logs", encodeRequest("logs", logs([log({ traceId: TRACE })])));
    const json = (tree: TraceTree) => JSON.parse(textOf(tree)) as TraceJson;
    const whole = (await getTraceTree(database, { traceId: TRACE }))!;
    assert.equal(whole.spans.length, spans.length);
    assert.equal(whole.cursor, undefined);
    for (const maxSpans of [1, 2, 3, 7, spans.length - 1]) {
      const parts = [(await getTraceTree(database, { traceId: TRACE, maxSpans }))!];
      while (parts.at(-1)!.cursor !== undefined) {
        const { cursor, hasMoreSpans } = parts.at(-1)!;
        assert.ok(hasMoreSpans);
        parts.push((await getTraceTree(database, { traceId: TRACE, maxSpans, cursor }))!);
      }
      for (const part of parts.slice(0, -1)) assert.equal(part.spans.length, maxSpans);
      assert.deepEqual(namesOf(parts).toSorted(), spans.map(({ name }) => name).toSorted());
      assert.deepEqual(parts.map(({ logs }) => logs.length), parts.map((_, n) => n === 0 ? 1 : 0));
      assert.ok(parts.every(({ lateSpans }) => lateSpans === 0));
      const read = parts.map(json).reduce(joined);
      assert.deepEqual(JSON.parse(JSON.stringify(read)), json(whole));
    }
  });

  Deno.test(`spans that come while a trace is read follow, or are told: ${driver}`, async () => {
    await using store = await openStore(driver);
    const { adapter, database } = store;
    await adapter.write("traces", request([10, 20, 20, 30, 40].map((ns, n) => at(ns, n + 1))));
    const ask = (cursor?: string) =>
      getTraceTree(database, { traceId: TRACE, maxSpans: 2, cursor }) as Promise<TraceTree>;
    const first = await ask();
    // Before what was read, among it, of the same start as the last of it, and behind it.
    await adapter.write("traces", request([at(5, 6), at(15, 7), at(20, 8), at(20, 2), at(35, 9)]));
    const second = await ask(first.cursor);
    assert.equal(second.lateSpans, 2);
    await adapter.write("traces", request([at(12, 10), at(50, 11)]));
    const parts = [first, second];
    while (parts.at(-1)!.cursor !== undefined) parts.push(await ask(parts.at(-1)!.cursor));
    assert.deepEqual(
      namesOf(parts).toSorted(),
      [1, 2, 2, 3, 4, 5, 8, 9, 11].map((n) => `span ${n}`).toSorted(),
    );
    assert.deepEqual(parts.map(({ lateSpans }) => lateSpans), [0, 2, 1, 0, 0]);
  });

  Deno.test(`a part of a trace is found by its index and reads no more than it gives: ${driver}`, async () => {
    await using store = await openStore(driver);
    await store.adapter.write(
      "traces",
      request(Array.from({ length: 50 }, (_, n) => at(n, n + 1))),
    );
    const { cursor } = (await getTraceTree(store.database, { traceId: TRACE, maxSpans: 10 }))!;
    const { database, asked } = observed(store.database);
    await getTraceTree(database, { traceId: TRACE, maxSpans: 10, cursor });
    assert.deepEqual(asked.filter(({ rows }) => rows > 1).map(({ rows }) => rows), [11]);
    assert.ok(
      asked.filter(({ sql }) => sql.includes("spans")).every(({ sql }) =>
        sql.includes("spans_of_trace($1::uuid)")
      ),
    );
  });

  Deno.test(`over HTTP a cursor is of one trace, and none is taken for OTLP: ${driver}`, async () => {
    await using store = await openStore(driver);
    const { adapter } = store;
    await adapter.write("traces", request([1, 2, 3].map((n) => at(n, n))));
    const answer = handler({ store: adapter, database: (options) => adapter.database(options) });
    const get = (path: string) => answer(new Request(`http://localhost/api/traces/${path}`), HERE);
    const { cursor } = await (await get(`${TRACE}?maxSpans=2`)).json();
    const rest = await (await get(`${TRACE.toUpperCase()}?cursor=${cursor}&maxSpans=9`)).json();
    assert.deepEqual([rest.spans.length, rest.hasMoreSpans], [1, false]);
    for (const wrong of [`${"1".repeat(32)}?cursor=${cursor}`, `${TRACE}?cursor=${cursor}x`]) {
      const refused = await get(wrong);
      assert.equal(refused.status, 400);
      assert.equal((await refused.json()).parameter, "cursor");
    }
    const otlp = await get(`${TRACE}?cursor=${cursor}&format=otlp`);
    assert.equal(otlp.status, 400);
    assert.match((await otlp.json()).detail, /as OTLP a trace comes whole/);
  });
}

Deno.test("a cursor that is none is refused before anything is read", async () => {
  await assert.rejects(
    getTraceTree(undefined as never, { traceId: TRACE, cursor: "none" }),
    (error: unknown) => error instanceof QueryError && error.parameter === "cursor",
  );
});
