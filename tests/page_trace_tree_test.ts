/** What the page of a trace works out of its spans. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { TraceTree, TreeSpan } from "../ui/frame/answers.ts";
import { adjusted, clockBadge, clockDeltas } from "../ui/pages/trace/clock_skew.ts";
import { criticalPath } from "../ui/pages/trace/critical_path.ts";
import { findSpans, step } from "../ui/pages/trace/find.ts";
import {
  ancestors,
  foldsText,
  readFolds,
  rowOf,
  subtree,
  visibleSpans,
  waterfallOf,
  type WaterfallSpan,
  withAncestors,
  withFolds,
} from "../ui/pages/trace/span_tree.ts";
import { strokes } from "../ui/pages/trace/strokes.ts";
import { ticks } from "../ui/pages/trace/time_axis.ts";

interface Given {
  readonly parent?: number;
  readonly from: number;
  readonly to: number;
  readonly isError?: boolean;
  readonly kind?: number;
  readonly service?: string;
}

/** Spans in the order of their tree, named by their places. */
function treeOf(given: readonly Given[]): WaterfallSpan[] {
  const empty = { attributes: [], droppedAttributesCount: 0 };
  const spans = given.map(({ parent, from, to, isError, kind = 1, service = "shop" }, at) => ({
    record: {
      spanId: `id-${at}`,
      parentSpanId: parent === undefined ? "" : `id-${parent}`,
      name: `name ${at}`,
      kind,
      startTimeUnixNano: String(1_000 + from),
      endTimeUnixNano: String(1_000 + to),
      attributes: [{ key: "at", value: { intValue: String(at) } }],
      events: [],
      links: [],
      status: { message: "", code: isError ? 2 : 0 },
    },
    resource: empty,
    scope: { name: "" },
    service,
    parent,
    isOrphan: false,
  }));
  return waterfallOf({
    startUnixNano: "1000",
    spans: spans as unknown as TreeSpan[],
  } as unknown as TraceTree);
}

const shop = treeOf([
  { from: 0, to: 100 },
  { parent: 0, from: 10, to: 40 },
  { parent: 1, from: 20, to: 30, isError: true },
  { parent: 0, from: 30, to: 90 },
]);

Deno.test("a fold hides all that is below, and counts it with its errors", () => {
  assert.deepEqual(shop.map(({ below }) => below), [3, 1, 0, 0]);
  assert.deepEqual(shop.map(({ errorsBelow }) => errorsBelow), [1, 1, 0, 0]);
  assert.deepEqual(visibleSpans(shop, readFolds("")), [0, 1, 2, 3]);
  assert.deepEqual(visibleSpans(shop, readFolds("id-1")), [0, 1, 3]);
  const all = readFolds("all");
  assert.deepEqual(visibleSpans(shop, all), [0]);
  const opened = withFolds(all, ancestors(shop, 2).map((at) => shop[at]!), false);
  assert.deepEqual(visibleSpans(shop, opened), [0, 1, 2, 3]);
  assert.equal(foldsText(opened), "all,id-0,id-1");
  assert.deepEqual(readFolds(foldsText(opened)), opened);
});

Deno.test("of a subtree, and of what is kept, only that can be seen; a hidden span is at the row before", () => {
  assert.deepEqual(visibleSpans(shop, readFolds(""), subtree(shop, 1)), [1, 2]);
  assert.deepEqual(visibleSpans(shop, readFolds(""), undefined, withAncestors(shop, [2])), [
    0,
    1,
    2,
  ]);
  assert.deepEqual(visibleSpans(shop, readFolds("id-1"), undefined, withAncestors(shop, [2])), [
    0,
    1,
  ]);
  assert.deepEqual([0, 1, 2, 3].map((at) => rowOf([0, 1, 3], at)), [0, 1, 1, 2]);
  assert.equal(rowOf([1, 3], 0), -1);
  assert.equal(rowOf([], 0), -1);
});

Deno.test("spans are found by name, id and attribute, in any case, and gone through in a circle", () => {
  const found = (text: string) => findSpans(shop, { text, kind: "", minNs: 0 });
  assert.deepEqual(found("NAME 2"), [2]);
  assert.deepEqual(found("at=3"), [3]);
  assert.deepEqual(found("id-3"), [3]);
  assert.deepEqual(found(" "), []);
  assert.deepEqual([step([1, 3], 1, 1), step([1, 3], 3, 1), step([1, 3], 1, -1)], [3, 1, 3]);
  assert.equal(step([], 1, 1), -1);
});

Deno.test("the critical path goes through the child that ended last, and through gaps between", () => {
  assert.deepEqual(
    criticalPath(shop),
    new Map([
      [0, [{ fromNs: 0, toNs: 30 }, { fromNs: 90, toNs: 100 }]],
      [3, [{ fromNs: 30, toNs: 90 }]],
    ]),
  );
});

Deno.test("at each moment of a trace one span is on the critical path", () => {
  const spans = fc.array(fc.tuple(fc.nat(), fc.nat(60), fc.nat(60)), { maxLength: 12 });
  fc.assert(fc.property(spans, (children) => {
    const tree = treeOf([
      { from: 0, to: 50 },
      ...children.map(([parent, from, length], at) => ({
        parent: parent % (at + 1),
        from,
        to: from + length,
      })),
    ]);
    const times = new Array<number>(50).fill(0);
    for (const [at, stretches] of criticalPath(tree)) {
      for (const { fromNs, toNs } of stretches) {
        assert.ok(tree[at]!.startNs <= fromNs && fromNs < toNs && toNs <= tree[at]!.endNs);
        for (let ns = fromNs; ns < toNs; ns++) times[ns]!++;
      }
    }
    assert.deepEqual(times, new Array(50).fill(1));
  }));
});

const CLIENT = 3;
const SERVER = 2;

Deno.test("a call that does not fit into its caller shows how far clocks differ", () => {
  const call = (from: number, to: number, kind = SERVER) =>
    clockDeltas(treeOf([
      { from: 100, to: 200, kind: CLIENT, service: "web" },
      { parent: 0, from, to, kind, service: "api" },
    ]))[1];
  assert.equal(call(100, 200), 0);
  assert.equal(call(10, 90), 100);
  assert.equal(call(310, 350), -180);
  assert.equal(call(150, 210), -30);
  // Too long to fit: it begins with its caller at the earliest, and may end after it.
  assert.equal(call(50, 250), 50);
  assert.equal(call(110, 900), 0);
  // Nobody waits for what is not an answer.
  assert.equal(call(150, 210, 5), 0);
  assert.equal(call(90, 110, 5), 50);
});

Deno.test("adjusted times keep durations, and each machine's spans together", () => {
  const given = fc.array(
    fc.record({
      parent: fc.nat(),
      from: fc.nat(1_000),
      length: fc.nat(1_000),
      kind: fc.constantFrom(1, SERVER, CLIENT, 4, 5),
      service: fc.constantFrom("web", "api", "db"),
    }),
    { maxLength: 20 },
  );
  fc.assert(fc.property(given, (children) => {
    const raw = treeOf([
      { from: 500, to: 1_000, kind: SERVER, service: "web" },
      ...children.map(({ parent, from, length, ...rest }, at) => ({
        parent: parent % (at + 1),
        from,
        to: from + length,
        ...rest,
      })),
    ]);
    const deltas = clockDeltas(raw);
    const moved = adjusted(raw, deltas);
    assert.equal(Math.min(...moved.map(({ startNs }) => startNs)), 0);
    moved.forEach((child, at) => {
      const before = raw[at]!;
      assert.equal(child.endNs - child.startNs, before.endNs - before.startNs);
      const above = child.span.parent;
      if (above === undefined) return assert.equal(deltas[at], 0);
      const parent = moved[above]!;
      if (parent.span.service === child.span.service) {
        assert.equal(deltas[at], deltas[above]);
        assert.equal(clockBadge(raw, deltas, at), 0);
        return;
      }
      // No call into another machine begins before its caller.
      assert.ok(child.startNs >= parent.startNs);
      const isAwaited = parent.span.record.kind === CLIENT && child.span.record.kind === SERVER;
      const fits = child.endNs - child.startNs <= parent.endNs - parent.startNs;
      if (isAwaited && fits) assert.ok(child.endNs <= parent.endNs);
    });
  }));
});

Deno.test("times on the axis are round, in one unit and in sight", () => {
  const labels = (fromNs: number, toNs: number) =>
    ticks({ fromNs, toNs }, 5).map(({ label }) => label);
  assert.deepEqual(labels(0, 3.13e9), ["0", "1s", "2s", "3s"]);
  assert.deepEqual(labels(0, 100), ["0", "20ns", "40ns", "60ns", "80ns", "100ns"]);
  assert.deepEqual(labels(1.2e6, 1.3e6), [
    "1.20ms",
    "1.22ms",
    "1.24ms",
    "1.26ms",
    "1.28ms",
    "1.30ms",
  ]);
  assert.deepEqual(labels(0, 5_400e9), ["0", "30m", "60m", "90m"]);
  fc.assert(
    fc.property(
      fc.integer({ max: 10 ** 15, min: 0 }),
      fc.integer({ min: 1, max: 10 ** 15 }),
      (from, length) => {
        const found = ticks({ fromNs: from, toNs: from + length }, 5);
        assert.ok(found.length <= 12, `${found.length}`);
        assert.ok(found.every(({ ns }) => ns >= from && ns <= from + length));
        assert.equal(new Set(found.map(({ label }) => label)).size, found.length);
        const units = found.filter(({ ns }) => ns > 0).map(({ label }) => /\D+$/.exec(label)![0]);
        assert.ok(new Set(units).size <= 1);
      },
    ),
  );
});

Deno.test("stretches become one path that stays in its picture, however many there are", () => {
  const shown = { fromNs: 100, toNs: 200 };
  assert.equal(strokes([{ fromNs: 110, toNs: 120 }], shown, 1), "M100 0H200V1H100Z");
  assert.equal(strokes([{ fromNs: 0, toNs: 90 }, { fromNs: 201, toNs: 300 }], shown, 1), "");
  assert.equal(strokes([{ fromNs: 150, toNs: 150 }], shown, 2), "M500 0H502V1H500Z");
  const many = Array.from({ length: 10_000 }, (_, at) => ({
    fromNs: 100 + at / 100,
    toNs: 100 + at / 100 + 0.001,
  }));
  assert.ok(strokes(many, shown, 1).split("M").length <= 1_000);
});
