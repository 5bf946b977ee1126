/** Finds spans by what is in them: names, ids, attributes and events. */

import type { KeyValue } from "../../frame/answers.ts";
import { valueText } from "../../frame/value.ts";
import type { WaterfallSpan } from "./span_tree.ts";

/** Where the spans are that have a text in them, in any case, or an attribute: `key=value`. */
export function findSpans(spans: readonly WaterfallSpan[], text: string): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const found: number[] = [];
  spans.forEach((span, at) => {
    if (wordsOf(span).includes(wanted)) found.push(at);
  });
  return found;
}

/** The place before or after one among those that were found, around the ends; -1 for none. */
export function step(found: readonly number[], from: number, by: 1 | -1): number {
  if (found.length === 0) return -1;
  return by > 0
    ? found.find((at) => at > from) ?? found[0]!
    : found.findLast((at) => at < from) ?? found.at(-1)!;
}

const words = new WeakMap<WaterfallSpan, string>();

function wordsOf(of: WaterfallSpan): string {
  let text = words.get(of);
  if (text === undefined) {
    const { service, record, resource } = of.span;
    const { name, spanId, parentSpanId, events, status, attributes } = record;
    text = [
      service,
      name,
      spanId,
      parentSpanId,
      status?.message ?? "",
      ...pairs(attributes),
      ...pairs(resource.attributes),
      ...events.flatMap((event) => [event.name, ...pairs(event.attributes)]),
    ].join("\n").toLowerCase();
    words.set(of, text);
  }
  return text;
}

function pairs(attributes: readonly KeyValue[]): string[] {
  return attributes.map(({ key, value }) => `${key}=${valueText(value)}`);
}
