/** Clocks of machines that differ: what gives them away, and times as one clock would have told. */

import type { TreeSpan } from "../../frame/answers.ts";
import { attributeText } from "../../frame/value.ts";
import { KINDS } from "./kinds.ts";
import type { WaterfallSpan } from "./span_tree.ts";

/** Attributes of a resource that tell machines apart. */
const MACHINE = ["host.id", "host.name", "k8s.node.name"];

/**
 * By how many nanoseconds each span would have to be moved; 0 for most.
 *
 * A call into another machine shows that clocks differ when it begins before its caller, or ends after
 * a caller who waited for it. It is moved into the middle of its caller: no one knows better how long
 * the ways there and back took. One that lasted longer than its caller only begins with it. What is
 * below it on the same machine is moved by as much.
 */
export function clockDeltas(spans: readonly WaterfallSpan[]): readonly number[] {
  const deltas: number[] = [];
  const machines = spans.map(({ span }) => machineOf(span));
  spans.forEach((child, at) => {
    const above = child.span.parent;
    if (above === undefined) deltas.push(0);
    else if (machines[above] === machines[at]) deltas.push(deltas[above]!);
    else deltas.push(deltaOf(spans[above]!, deltas[above]!, child));
  });
  return deltas;
}

function deltaOf(parent: WaterfallSpan, movedNs: number, child: WaterfallSpan): number {
  if (child.isUnknown || parent.isUnknown || child.isRunning || parent.isRunning) return 0;
  const startNs = parent.startNs + movedNs;
  const endNs = parent.endNs + movedNs;
  const isBefore = child.startNs < startNs;
  if (!isBefore && !(isAwaited(parent, child) && child.endNs > endNs)) return 0;
  const spareNs = endNs - startNs - (child.endNs - child.startNs);
  if (spareNs < 0) return isBefore ? startNs - child.startNs : 0;
  return startNs + Math.floor(spareNs / 2) - child.startNs;
}

/** Whether the caller went on only when it had the answer. */
function isAwaited({ span: caller }: WaterfallSpan, { span: called }: WaterfallSpan): boolean {
  return KINDS[caller.record.kind] === "client" && KINDS[called.record.kind] === "server";
}

/** Where a span was timed, as far as its resource says so. */
function machineOf({ resource, service }: TreeSpan): string {
  for (const key of MACHINE) {
    const name = attributeText(resource.attributes, key);
    if (name !== "") return `${key}=${name}`;
  }
  return `service=${service}`;
}

/** Spans with their times moved, and the trace from the first of them on. */
export function adjusted(
  spans: readonly WaterfallSpan[],
  deltas: readonly number[],
): WaterfallSpan[] {
  let firstNs = Infinity;
  spans.forEach(({ startNs, isUnknown }, at) => {
    if (!isUnknown) firstNs = Math.min(firstNs, startNs + deltas[at]!);
  });
  if (firstNs === Infinity) firstNs = 0;
  return spans.map((span, at) => {
    const movedNs = span.isUnknown ? 0 : deltas[at]!;
    const byNs = span.isUnknown ? 0 : movedNs - firstNs;
    return { ...span, startNs: span.startNs + byNs, endNs: span.endNs + byNs, movedNs };
  });
}

/** What has to be said at a span: by how much it is moved, unless it moves with its parent. */
export function clockBadge(
  spans: readonly WaterfallSpan[],
  deltas: readonly number[],
  at: number,
): number {
  const above = spans[at]!.span.parent;
  const deltaNs = deltas[at]!;
  return above !== undefined && deltas[above] === deltaNs ? 0 : deltaNs;
}
