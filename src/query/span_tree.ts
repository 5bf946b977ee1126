/**
 * Spans as a tree: each behind its parent.
 *
 * @module
 */

/** A span, as far as its tree is concerned. */
export interface LinkedSpan {
  /** As OTLP has it. */
  readonly record: { readonly spanId: string; readonly parentSpanId: string };
}

/** Where a span is in its tree. */
export interface TreePlace {
  /** 0 for a root. */
  readonly depth: number;
  /** Where its parent is among the spans. Undefined for a root. */
  readonly parent: number | undefined;
  /** Whether it names a parent that is not there, or stands in a circle that was cut before it. */
  readonly isOrphan: boolean;
}

/**
 * Puts spans in the order of their tree. Each is there once: of several with one id the first is the
 * parent, a circle is cut before its first span.
 *
 * @param spans By start.
 *
 * @example A child comes behind its parent
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const child = { record: { spanId: "b", parentSpanId: "a" } };
 * const root = { record: { spanId: "a", parentSpanId: "" } };
 * const tree = treeOf([child, root]);
 * assert.deepEqual(tree.map(({ record, depth }) => [record.spanId, depth]), [["a", 0], ["b", 1]]);
 * ```
 */
export function treeOf<T extends LinkedSpan>(spans: readonly T[]): (T & TreePlace)[] {
  const byId = new Map<string, T>();
  for (const span of spans) {
    if (!byId.has(span.record.spanId)) byId.set(span.record.spanId, span);
  }
  const children = new Map<T, T[]>();
  const roots: T[] = [];
  for (const span of spans) {
    const parent = byId.get(span.record.parentSpanId);
    const siblings = parent === undefined ? roots : children.get(parent);
    if (siblings === undefined) children.set(parent!, [span]);
    else siblings.push(span);
  }
  const tree: (T & TreePlace)[] = [];
  const placed = new Set<T>();
  // No recursion: a trace may be as deep as it is long.
  const place = (root: T) => {
    const open = [{ span: root, depth: 0, parent: undefined as number | undefined }];
    while (open.length > 0) {
      const { span, depth, parent } = open.pop()!;
      if (placed.has(span)) continue;
      placed.add(span);
      const isOrphan = parent === undefined && span.record.parentSpanId !== "";
      const at = tree.push({ ...span, depth, parent, isOrphan }) - 1;
      for (const child of children.get(span)?.toReversed() ?? []) {
        open.push({ span: child, depth: depth + 1, parent: at });
      }
    }
  };
  for (const root of roots) place(root);
  // What no root leads to hangs on a circle.
  for (const span of spans) {
    if (placed.has(span)) continue;
    const circle = circleAbove(span, (of) => byId.get(of.record.parentSpanId)!);
    place(spans.find((one) => circle.has(one))!);
  }
  return tree;
}

/** The circle that one comes to who goes from parent to parent. */
function circleAbove<T>(from: T, parentOf: (of: T) => T): Set<T> {
  const passed = new Set<T>();
  let at = from;
  for (; !passed.has(at); at = parentOf(at)) passed.add(at);
  const circle = new Set<T>();
  for (; !circle.has(at); at = parentOf(at)) circle.add(at);
  return circle;
}
