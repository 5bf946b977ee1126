/**
 * A trace drawn with characters: its tree, and a bar for when each span was.
 *
 * @module
 */

import type { z } from "zod";
import type { TRACE_TREE } from "./api_answers.ts";
import { durationText } from "./duration.ts";
import { eventLine, type LogJson, logLine, type SpanJson, timeOfLog } from "./log_line.ts";
import { printable } from "./sql_table.ts";
import { fitted, padded, widthOf } from "./text_width.ts";
import { timeText } from "./time_text.ts";

/** A trace as the API gives it. */
export type TraceJson = z.output<typeof TRACE_TREE>;

/** A level of the tree takes this many columns. */
const LEVEL = 3;
const MIN_BAR = 10;
const ERROR = 2;
const MARKS = { error: "✗", orphan: "? parent missing", circle: "? circle" };

/**
 * Draws a trace, line by line: a head, then a line a span. Texts are shown with what would move the
 * cursor escaped.
 *
 * @param columns How wide it may be; names are cut for that. At least 50 are taken.
 * @returns Lines without line breaks.
 */
export function* waterfall(trace: TraceJson, columns: number): Generator<string> {
  const { spans, hasMoreSpans } = trace;
  yield headOf(trace);
  if (spans.length === 0) return;
  yield "";
  const ids = new Set(spans.map(({ record }) => record.spanId));
  const marks = spans.map((span) => marksOf(span, ids, hasMoreSpans));
  const texts = spans.map(({ record }) => durationText(lengthOf(record)));
  const markWidth = widest(marks);
  const timeWidth = widest(texts);
  // A frame round the bar, spaces between the parts, and the last column: a terminal goes to the next
  // line when that one is written.
  const room = Math.max(50, columns) - timeWidth - 3 - (markWidth === 0 ? 0 : markWidth + 1) - 2;
  const most = Math.max(8, Math.min(Math.floor(room / 2), room - MIN_BAR));
  const labelWidth = Math.min(most, widestLabel(spans, most));
  const barWidth = Math.max(MIN_BAR, room - labelWidth);
  const branch = branches(spans, Math.floor(labelWidth / 2 / LEVEL));
  for (const [at, span] of spans.entries()) {
    const label = fitted(branch(at) + nameOf(span), labelWidth);
    const bar = barOf(trace, span, barWidth);
    yield `${label} ▕${bar}▏ ${texts[at]!.padStart(timeWidth)} ${marks[at]}`.trimEnd();
  }
}

/** What happened in a trace, by time: the events of its spans and its log records. */
export function* happenings({ spans, logs }: TraceJson): Generator<string> {
  const all = [
    ...spans.flatMap((span) =>
      span.record.events.map((event) => ({
        time: BigInt(event.timeUnixNano),
        text: () => eventLine(span, event),
      }))
    ),
    ...logs.map((log: LogJson) => ({ time: timeOfLog(log), text: () => logLine(log) })),
  ];
  all.sort((a, b) => a.time < b.time ? -1 : a.time > b.time ? 1 : 0);
  for (const { text } of all) yield text();
}

function headOf({ traceId, spans, startUnixNano, durationNs }: TraceJson): string {
  const errors = spans.filter(isError).length;
  const services = new Set(spans.map(({ service }) => service)).size;
  return [
    `trace ${traceId}: ${counted(spans.length, "span")}`,
    counted(errors, "error"),
    counted(services, "service"),
    ...spans.length === 0
      ? []
      : [timeText(BigInt(startUnixNano)), durationText(BigInt(durationNs))],
  ].join(", ");
}

function counted(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`;
}

function isError({ record }: SpanJson): boolean {
  return record.status?.code === ERROR;
}

function marksOf(span: SpanJson, ids: ReadonlySet<string>, hasMore: boolean): string {
  const marks = isError(span) ? [MARKS.error] : [];
  // With spans left out its parent may be one of them.
  if (span.isOrphan && ids.has(span.record.parentSpanId)) marks.push(MARKS.circle);
  else if (span.isOrphan) marks.push(hasMore ? "? parent not read" : MARKS.orphan);
  return marks.join(" ");
}

function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, widthOf(text)), 0);
}

/** The widest name in its place of the tree, as far as it matters. */
function widestLabel(spans: readonly SpanJson[], most: number): number {
  let width = 0;
  for (const span of spans) {
    if (width >= most) return most;
    width = Math.max(width, span.depth * LEVEL + widthOf(nameOf(span)));
  }
  return width;
}

/** The longest name that is looked at: a terminal shows no more. */
const NAME_CHARACTERS = 500;

function nameOf({ service, record }: SpanJson): string {
  const name = record.name.slice(0, NAME_CHARACTERS);
  return printable(service === "" ? name : `${service.slice(0, NAME_CHARACTERS)}: ${name}`);
}

/**
 * What stands before the name of each span, which has to be asked for in order. Of a tree that is
 * deeper than `levels`, the innermost ones.
 */
function branches(spans: readonly SpanJson[], levels: number): (at: number) => string {
  const isLast = lastChildren(spans);
  /** For each level above a span, whether more comes on it below. */
  const goesOn: boolean[] = [];
  return (at) => {
    const { depth } = spans[at]!;
    if (depth === 0) return "";
    goesOn.length = depth - 1;
    const from = Math.max(0, depth - levels);
    const above = goesOn.slice(from).map((more) => more ? "│  " : "   ").join("");
    goesOn.push(!isLast[at]);
    return `${from === 0 ? "" : "…"}${above}${isLast[at] ? "└─ " : "├─ "}`;
  };
}

function lastChildren(spans: readonly SpanJson[]): boolean[] {
  const seen = new Set<number | undefined>();
  const isLast: boolean[] = new Array(spans.length);
  for (let at = spans.length - 1; at >= 0; at--) {
    isLast[at] = !seen.has(spans[at]!.parent);
    seen.add(spans[at]!.parent);
  }
  return isLast;
}

function lengthOf({ startTimeUnixNano, endTimeUnixNano }: SpanJson["record"]): bigint {
  const length = BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano);
  return startTimeUnixNano === "0" || length < 0n ? 0n : length;
}

/** The part of the trace that a span takes; at least a column. One without a start has none. */
function barOf({ startUnixNano, durationNs }: TraceJson, span: SpanJson, width: number): string {
  const { record } = span;
  if (record.startTimeUnixNano === "0") return " ".repeat(width);
  const all = Number(durationNs) || 1;
  const place = (nanos: bigint) => Math.round(Number(nanos) / all * width);
  const begin = BigInt(record.startTimeUnixNano) - BigInt(startUnixNano);
  const from = Math.min(width - 1, place(begin));
  const to = Math.min(width, Math.max(from + 1, place(begin + lengthOf(record))));
  return padded(" ".repeat(from) + "█".repeat(to - from), width);
}
