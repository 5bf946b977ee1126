/** Finds spans by what is in them: names, ids, attributes and events. */

import type { KeyValue, TreeSpan } from "../../frame/answers.ts";
import { valueText } from "../../frame/value.ts";
import { KINDS } from "./kinds.ts";
import type { Places, WaterfallSpan } from "./span_tree.ts";

/** What is looked for; a span has to meet all of it. */
export interface Wanted {
  /** A text that is in it, or an attribute: `key=value`. In any case; empty for whatever. */
  readonly text: string;
  /** A name of {@linkcode KINDS}; empty for whatever. */
  readonly kind: string;
  /** How long it was at least, in nanoseconds; 0 for whatever. */
  readonly minNs: number;
}

/** Where the spans are that were looked for; none when nothing was. */
export function findSpans(
  spans: readonly WaterfallSpan[],
  { text, kind, minNs }: Wanted,
  { from, to }: Places = { from: 0, to: spans.length },
): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "" && kind === "" && minNs === 0) return [];
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(wanted) ?? [];
  const pair = key === undefined ? undefined : pairText(key.trim(), value!.trim());
  const found: number[] = [];
  for (let at = from; at < to; at++) {
    const { span, startNs, endNs } = spans[at]!;
    if (kind !== "" && KINDS[span.record.kind] !== kind) continue;
    if (endNs - startNs < minNs) continue;
    const words = wanted === "" ? "" : wordsOf(span);
    if (words.includes(wanted) || (pair !== undefined && words.includes(pair))) found.push(at);
  }
  return found;
}

/** The place before or after one among those that were found, around the ends; -1 for none. */
export function step(found: readonly number[], from: number, by: 1 | -1): number {
  if (found.length === 0) return -1;
  return by > 0
    ? found.find((at) => at > from) ?? found[0]!
    : found.findLast((at) => at < from) ?? found.at(-1)!;
}

// Nobody types these: a text is found within one name or value, never across two.
const END = "\u0001";
const BETWEEN = "\u0002";

const words = new WeakMap<TreeSpan, string>();

function wordsOf(span: TreeSpan): string {
  let text = words.get(span);
  if (text === undefined) {
    const { service, record, resource, scope } = span;
    const { name, spanId, parentSpanId, events, links, status } = record;
    text = [
      "",
      service,
      name,
      spanId,
      parentSpanId,
      scope.name,
      status?.message ?? "",
      ...pairs(record.attributes),
      ...pairs(resource.attributes),
      ...events.flatMap((event) => [event.name, ...pairs(event.attributes)]),
      ...links.flatMap((link) => [link.traceId, link.spanId, ...pairs(link.attributes)]),
      "",
    ].join(END).toLowerCase();
    words.set(span, text);
  }
  return text;
}

function pairs(attributes: readonly KeyValue[]): string[] {
  return attributes.map(({ key, value }) => key + BETWEEN + valueText(value));
}

function pairText(key: string, value: string): string {
  return END + key + BETWEEN + value + END;
}
