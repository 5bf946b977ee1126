/** Reads a trace, part by part; what was read is not asked for again. */

import { treeOf } from "../../../src/query/span_tree.ts";
import type { TraceTree } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";

/** One trace as far as it was read. */
export class TraceReading {
  readonly #traceId: string;
  readonly #maxLogs: number;
  #read: TraceTree | undefined;

  constructor(traceId: string, maxLogs: number) {
    this.#traceId = traceId;
    this.#maxLogs = maxLogs;
  }

  /**
   * Reads on until there are so many spans, or all.
   *
   * @throws {ApiError} The API has no answer.
   */
  async upTo(count: number, signal: AbortSignal): Promise<TraceTree> {
    // One that was given up may still end: what it read must not come in between.
    const read = this.#read;
    const { spans, cursor } = read ?? { spans: [], cursor: undefined };
    if (read !== undefined && (cursor === undefined || spans.length >= count)) return read;
    const part = await get<TraceTree>(`/api/traces/${this.#traceId}`, {
      maxSpans: count - spans.length,
      maxLogs: this.#maxLogs,
      cursor,
    }, signal);
    return this.#read = read === undefined ? part : joined(read, part);
  }
}

/** What was read of a trace with the part that follows. */
export function joined(read: TraceTree, part: TraceTree): TraceTree {
  const { cursor: _, ...first } = read;
  const { cursor, hasMoreSpans } = part;
  const extents = [read, part].filter(({ startUnixNano }) => startUnixNano !== "0");
  const starts = extents.map(({ startUnixNano }) => BigInt(startUnixNano));
  const ends = extents.map(({ durationNs }, at) => starts[at]! + BigInt(durationNs));
  const start = starts.reduce((a, b) => a < b ? a : b, starts[0] ?? 0n);
  const end = ends.reduce((a, b) => a > b ? a : b, 0n);
  return {
    ...first,
    startUnixNano: String(start),
    durationNs: String(end - start),
    // Siblings are in order, those that follow behind those that were read.
    spans: treeOf([...read.spans, ...part.spans]),
    hasMoreSpans,
    ...cursor !== undefined && { cursor },
    lateSpans: read.lateSpans + part.lateSpans,
  };
}
