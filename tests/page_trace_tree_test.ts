/** What the page of a trace works out of its spans. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { TraceTree, TreeSpan } from "../ui/frame/answers.ts";
import { criticalPath } from "../ui/pages/trace/critical_path.ts";
import { findSpans, step } from "../ui/pages/trace/find.ts";
import {
  ancestors,
  foldsText,
  readFolds,
  visibleSpans,
  waterfallOf,
  type WaterfallSpan,
  withFolds,
} from "../ui/pages/trace/span_tree.ts";

interface Given {
  readonly parent?: number;
  readonly from: number;
  readonly to: number;
  readonly isError?: boolean;
}

/** Spans in the order of their tree, named by their places. */
function treeOf(given: readonly Given[]): WaterfallSpan[] {
  const empty = { attributes: [], droppedAttributesCount: 0 };
  const spans = given.map(({ parent, from, to, isError }, at) => ({
    record: {
      spanId: `id-${at}`,
      parentSpanId: parent === undefined ? "" : `id-${parent}`,
      name: `name ${at}`,
      startTimeUnixNano: String(1_000 + from),
      endTimeUnixNano: String(1_000 + to),
      attributes: [{ key: "at", value: { intValue: String(at) } }],
      events: [],
      links: [],
      status: { message: "", code: isError ? 2 : 0 },
    },
    resource: empty,
    scope: { name: "" },
    service: "shop",
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
