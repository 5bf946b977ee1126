/**
 * Two traces side by side.
 *
 * @module
 */

import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import { TRACE_ID } from "./limits.ts";
import { checked } from "./query_error.ts";
import type { ReadOptions } from "./reading.ts";
import { getTraceTree, type TraceTree, type TreeSpan } from "./trace_tree.ts";

/** Which traces to compare. */
export interface CompareQuery {
  /** 32 hex digits; dashes are allowed. */
  readonly before: string;
  /** The same of the other one. */
  readonly after: string;
}

/** The options of {@linkcode compareTraces}. */
export const COMPARE_QUERY = z.object({
  before: TRACE_ID,
  after: TRACE_ID,
});

/** What two traces have in common, and what not. */
export interface TraceComparison {
  /** How much longer the second one takes, in nanoseconds. */
  readonly durationDifferenceNs: bigint;
  /** Spans of both, in the order of the first one's tree, those of the second alone at the end. */
  readonly spans: readonly ComparedSpan[];
}

/** A span and its counterpart. */
export interface ComparedSpan {
  /** Name of its service, empty for none. */
  readonly service: string;
  /** Its name. */
  readonly operation: string;
  /** How far it is from its root, which has 0. */
  readonly depth: number;
  /** That of the first trace; absent when only the second has it. */
  readonly before?: ComparedSide;
  /** That of the second trace; absent when only the first has it. */
  readonly after?: ComparedSide;
}

/** What is compared of a span. */
export interface ComparedSide {
  /** 16 hex digits. */
  readonly spanId: string;
  /** How long it took, in nanoseconds. */
  readonly durationNs: bigint;
  /** Whether its status is ERROR. */
  readonly isError: boolean;
}

/**
 * Compares two traces. Spans belong together when services and operations are the same on the way from
 * the root; of several on one way the first belongs to the first, and so on.
 *
 * @returns Undefined when one of them is not stored.
 * @throws {QueryError} An option is wrong.
 * @throws {QueryTimeoutError} It took too long.
 *
 * @example None yet
 * ```ts
 * import { pglite } from "../postgres/pglite.ts";
 * import { migrate } from "../postgres/migrate.ts";
 * import assert from "node:assert/strict";
 *
 * await using database = pglite("memory://");
 * await migrate(database);
 * const before = "5b8efff798038103d269b633813fc60c";
 * assert.equal(await compareTraces(database, { before, after: before }), undefined);
 * ```
 */
export async function compareTraces(
  database: Database,
  query: CompareQuery,
  options: ReadOptions = {},
): Promise<TraceComparison | undefined> {
  const asked = checked(COMPARE_QUERY, query);
  const read = (traceId: string) =>
    getTraceTree(database, { traceId, maxLogs: 0, maxPoints: 0 }, options);
  const before = await read(asked.before);
  const after = await read(asked.after);
  return before === undefined || after === undefined ? undefined : compared(before, after);
}

/** The comparison of two trees. */
export function compared(before: TraceTree, after: TraceTree): TraceComparison {
  const ways = new Map<string, number>();
  const others = placedSpans(after, ways);
  const byWay = Map.groupBy(others, ({ way }) => way);
  const taken = new Set<PlacedSpan>();
  const spans: ComparedSpan[] = placedSpans(before, ways).map(({ about, way, side }) => {
    const other = byWay.get(way)?.shift();
    if (other === undefined) return { ...about, before: side };
    taken.add(other);
    return { ...about, before: side, after: other.side };
  });
  for (const other of others) {
    if (!taken.has(other)) spans.push({ ...other.about, after: other.side });
  }
  return { durationDifferenceNs: after.durationNs - before.durationNs, spans };
}

interface PlacedSpan {
  readonly about: Pick<ComparedSpan, "service" | "operation" | "depth">;
  /** The same number for the same services and operations from the root on. */
  readonly way: number;
  readonly side: ComparedSide;
}

function placedSpans({ spans }: TraceTree, ways: Map<string, number>): PlacedSpan[] {
  const placed: PlacedSpan[] = [];
  for (const span of spans) {
    const { service, depth, parent, record: { name: operation } } = span;
    const step = JSON.stringify([
      parent === undefined ? -1 : placed[parent]!.way,
      service,
      operation,
    ]);
    const way = ways.get(step) ?? ways.size;
    ways.set(step, way);
    placed.push({ about: { service, operation, depth }, way, side: sideOf(span) });
  }
  return placed;
}

function sideOf({ record }: TreeSpan): ComparedSide {
  const { startTimeUnixNano: start, endTimeUnixNano: end } = record;
  return {
    spanId: record.spanId,
    durationNs: start === 0n || end < start ? 0n : end - start,
    isError: record.status?.code === 2,
  };
}
