/**
 * The statement that asks signatures and fresh terms for what a search needs.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Queryable } from "../postgres/database.ts";
import { LONGEST, WIDTH } from "../postgres/longest.ts";
import { positionsOf, UNIT_BYTES } from "../postgres/signature.ts";
import type { Signal } from "../record.ts";
import type { TimeRange } from "./range.ts";
import { type Ids, meets, type ResolvedNeed } from "./resolved_needs.ts";

const MICROSECOND = 1000n;

/** What rows have to be looked for, and in which order. */
export interface Question {
  readonly need: ResolvedNeed;
  readonly terms: readonly number[];
  /** Services whose longest spans are asked for. */
  readonly services: readonly Ids[];
  /** Of these the slowest come first. */
  readonly slowest: number | undefined;
  readonly atMost: bigint;
}

/** Of what it is asked this time. */
export interface Page {
  readonly signal: Signal;
  readonly range: TimeRange;
  /** How many signatures; one more tells that there are more. */
  readonly page: number;
  /** The signature behind which they begin. Default: the latest. */
  readonly next: { readonly last: bigint; readonly id: bigint } | undefined;
  /** Whether fresh terms are asked, and what is in no granule. */
  readonly isFirst: boolean;
}

/** A signature, or a part of a granule. */
export interface Found {
  readonly id: bigint | null;
  readonly last: bigint;
  readonly granule: number | null;
  readonly first: bigint;
  readonly units: Uint8Array | null;
  readonly unit_count: number | null;
  readonly slice_bytes: number | null;
  readonly slices: Uint8Array | null;
  readonly longest: Uint8Array | null;
  readonly hits: string | null;
  readonly [column: string]: unknown;
}

/** What signatures and fresh terms say. */
export async function askedOf(
  reader: Queryable,
  question: Question,
  page: Page,
): Promise<Found[]> {
  const where = new Conditions();
  const signal = where.parameter(page.signal);
  const since = where.timestamp(page.range.since);
  const until = where.timestamp(page.range.until);
  const range = `x.signal = ${signal}::text and x.last >= ${since} and x.first <= ${until}`;
  const parts: string[] = [];
  // There is none where no row meets a condition on dimensions.
  const canBeMet = meets(question.need, () => true, () => LONGEST);
  if (canBeMet) parts.push(signatures(where, range, question, page));
  if (page.isFirst && canBeMet) parts.push(fresh(where, range, question));
  if (page.isFirst) parts.push(unsigned(signal, since, until));
  return await reader.query<Found>(parts.join(" union all "), where.parameters);
}

function signatures(
  where: Conditions,
  range: string,
  question: Question,
  { page, next, isFirst }: Page,
): string {
  const slices = joined(
    question.terms.flatMap(positionsOf).map((position) =>
      `substring(x.slices from ${position} * x.slice_bytes + 1 for x.slice_bytes)`
    ),
  );
  const width = `${WIDTH} * x.unit_count`;
  const row = (number: string) => `substring(x.longest from ${number} * ${width} + 1 for ${width})`;
  // The first row is of all services, the second one of those that have none of their own.
  const ofService = (id: bigint) =>
    row(`(1 + coalesce(array_position(x.services, ${where.parameter(id)}::bigint), 0))`);
  const rows = joined(
    question.services.flatMap((ids) => ids === undefined ? [row("0")] : ids.map(ofService)),
  );
  const behind = next === undefined
    ? "true"
    : `(x.last, x.id) < (${where.timestamp(next.last * MICROSECOND)}, ${
      where.parameter(next.id)
    }::bigint)`;
  return `select x.id, ${micros("x.last")} as last, null::int as granule,
        ${micros("x.first")} as first, ${isFirst ? "x.units" : "null::bytea"} as units,
        x.unit_count, x.slice_bytes, ${slices} as slices, ${rows} as longest, null::text as hits
      from (select x.*, length(x.units) / ${UNIT_BYTES} as unit_count
        from otel_data.signatures x where ${range} and ${behind}
        order by x.last desc, x.id desc limit ${page + 1}) x`;
}

function fresh(where: Conditions, range: string, question: Question): string {
  const { need, terms, services, slowest } = question;
  const columns = (hits: string) =>
    `select null, ${micros("x.last")}, x.granule, ${micros("x.first")}, null, null, null, null,
        ${services.length > 0 ? "x.longest" : "null"}, ${hits} from otel_data.granule_terms x`;
  if (terms.length === 0) return `${columns("''")} where ${range}`;
  // Of the slowest it is counted how many there are to look at.
  const isAny = slowest !== undefined || meets(need, () => false, () => LONGEST);
  const hasSome = isAny ? "true" : "h.hits like '%1%'";
  return `${columns("h.hits")}
      -- Read whole once, and not for each term.
      cross join lateral (select x.terms || ''::bytea as whole offset 0) w
      cross join lateral (
        select string_agg(case when position(decode(t, 'hex') in w.whole) > 0 then '1' else '0' end, '' order by n) as hits
        from unnest(${where.parameter(terms.map(hex))}::text[]) with ordinality as terms (t, n)
      ) h
      where ${range} and ${hasSome}`;
}

function micros(column: string): string {
  return `(extract(epoch from ${column}) * 1000000)::bigint`;
}

/** Rows that came by another way than ours are in no granule: they are looked at always. */
function unsigned(signal: string, since: string, until: string): string {
  return `select null::bigint as id, ${micros("x.last")} as last, 0 as granule,
      ${micros("x.first")} as first, null::bytea as units, null::int as unit_count,
      null::int as slice_bytes, null::bytea as slices, null::bytea as longest, null::text as hits
    from otel_data.unsigned(${signal}::text, ${since}, ${until}) x where x.first is not null`;
}

/** Pieces in one, by pairs: the server reads expressions only so deep. An aggregate takes it three times as long. */
function joined(pieces: readonly string[]): string {
  if (pieces.length < 2) return pieces[0] ?? "''::bytea";
  const half = pieces.length >> 1;
  return `(${joined(pieces.slice(0, half))} || ${joined(pieces.slice(half))})`;
}

/** The four bytes of a term, as they are stored. */
function hex(term: number): string {
  return (term >>> 0).toString(16).padStart(8, "0");
}
