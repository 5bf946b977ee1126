/**
 * The spans of a trace by start, part by part: those that come while it is read are told, not lost.
 *
 * A cursor says which span was the last one, and how many there were up to it. Spans whose starts are
 * later come with a later part, also those that are stored meanwhile. Of those that are stored meanwhile
 * and start before it, the next part says how many they are.
 *
 * @module
 */

import type { Queryable, Row } from "../postgres/database.ts";
import { SELECT_SPANS_OF_TRACE, spanOf, type Stored } from "../postgres/stored.ts";
import type { Span } from "../record.ts";
import { cursorOf, positionOf } from "./cursor.ts";

/** Some spans of a trace. */
export interface TraceSpans {
  /** By start. */
  readonly spans: readonly Stored<Span>[];
  /** For the spans that follow; absent when there are none. */
  readonly cursor?: string;
  /** How many have come since the part before, and stand before this one. */
  readonly lateSpans: number;
}

/** How far a trace was read. Spans of one start are in order of their ids, those of one id as stored. */
export interface SpanPlace {
  /** The start of the last span, to the microsecond. */
  readonly micros: bigint;
  /** What is missing from that. */
  readonly frac: bigint;
  /** Its id. */
  readonly spanId: bigint;
  /** How many spans with its start and id were read. */
  readonly alike: bigint;
  /** How many spans there are up to here. */
  readonly before: bigint;
}

/** A trace is read whatever its time is. */
const NO_RANGE = { since: 0n, until: 0n };
const KEY_LENGTH = 5;
const ORDER = "t.time, t.time_frac, t.span_id";
/** `$2` to `$4` are the place. */
const PLACE = "(otel_data.to_timestamptz($2::bigint), $3::smallint, $4::bigint)";

// The index on trace ids has the spans in the order in which they are stored, which `ordinality` counts.
const SELECT = SELECT_SPANS_OF_TRACE.replace(
  "spans_of_trace($1::uuid) t",
  () => "spans_of_trace($1::uuid) with ordinality t",
);

/**
 * What a cursor says.
 *
 * @throws {QueryError} It is damaged, or of another trace.
 */
export function placeOf(traceId: string, cursor: string): SpanPlace {
  const { key } = positionOf(questionOf(traceId), cursor, KEY_LENGTH);
  const [micros, frac, spanId, alike, before] = key;
  return { micros: micros!, frac: frac!, spanId: spanId!, alike: alike!, before: before! };
}

/**
 * Reads spans of a trace, from its start or from behind a place on.
 *
 * @param most How many at most.
 */
export async function spansOfTrace(
  reader: Queryable,
  traceId: string,
  most: number,
  from?: SpanPlace,
): Promise<TraceSpans> {
  const key = from && [BigInt.asIntN(64, from.micros * 1000n), from.frac, from.spanId];
  const rows = await reader.query(
    key === undefined
      ? `${SELECT} order by ${ORDER}, t.ordinality limit $2::int`
      : `${SELECT} where (${ORDER}) >= ${PLACE}
         order by ${ORDER}, t.ordinality offset $5::bigint limit $6::int`,
    key === undefined ? [traceId, most + 1] : [traceId, ...key, from!.alike, most + 1],
  );
  let before = 0n;
  if (key !== undefined) {
    const [counted] = await reader.query<{ count: bigint }>(
      `select count(*) from otel_data.spans_of_trace($1::uuid) t where (${ORDER}) < ${PLACE}`,
      [traceId, ...key],
    );
    before = counted!.count + from!.alike;
  }
  const late = before - (from?.before ?? 0n);
  const part = rows.slice(0, most);
  const last = part.at(-1);
  return {
    spans: part.map(spanOf),
    // Spans also go, with the partition they are in.
    lateSpans: Number(late > 0n ? late : 0n),
    ...last !== undefined && rows.length > most && {
      cursor: cursorOf(questionOf(traceId), {
        range: NO_RANGE,
        key: keyAfter(part, last, before, from),
      }),
    },
  };
}

const questionOf = (traceId: string) => ({ query: "trace", options: { traceId } });

function keyAfter(part: readonly Row[], last: Row, before: bigint, from?: SpanPlace): bigint[] {
  const [micros, frac, spanId] = keyOf(last);
  const isSame = (key: readonly (bigint | undefined)[]) =>
    key[0] === micros && key[1] === frac && key[2] === spanId;
  let alike = 0;
  while (alike < part.length && isSame(keyOf(part[part.length - 1 - alike]!))) alike++;
  const had = from && isSame([from.micros, from.frac, from.spanId]) ? from.alike : 0n;
  return [micros!, frac!, spanId!, had + BigInt(alike), before + BigInt(part.length)];
}

function keyOf(row: Row): bigint[] {
  return [row.time_micros, row.time_frac, row.span_id].map((one) => BigInt(one as bigint));
}
