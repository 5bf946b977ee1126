/** Which part of a service graph is drawn. */

import type { ServiceGraph } from "../../frame/answers.ts";

/** Calls between two services. */
export type ServiceEdge = ServiceGraph["edges"][number];

/** Which one it is: between two services there may be calls and links. */
export function edgeKey({ from, to, kind }: Pick<ServiceEdge, "from" | "to" | "kind">): string {
  return JSON.stringify([from, to, kind]);
}

/** More than this nobody can read: then only what is around one service is drawn. */
export const MAX_NODES = 150;

/** What is asked for. */
export interface Choice {
  /** The service in the middle; undefined for none. */
  readonly centre: string | undefined;
  /** How many calls away from it, 1 to 3; 0 for any. */
  readonly depth: number;
  /** Calls that an edge has to have. */
  readonly minCalls: number;
}

/** What is drawn. */
export interface Part {
  readonly edges: readonly ServiceEdge[];
  /** The service it is around; undefined when it is around none. */
  readonly centre: string | undefined;
  /** Whether that was not asked for, but there are too many to draw. */
  readonly isCut: boolean;
}

/**
 * The part of the graph that was asked for, cut to what can be read: the edges with the most calls
 * stay.
 *
 * @example One call away
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const edge = (from: string, to: string) => ({
 *   from,
 *   to,
 *   kind: "call" as const,
 *   calls: 1,
 *   errors: 0,
 *   p50Ns: "1",
 *   p99Ns: "1",
 * });
 * const edges = [edge("a", "b"), edge("b", "c"), edge("c", "d")];
 * const part = partOf(edges, { centre: "b", depth: 1, minCalls: 0 });
 * assert.deepEqual(part.edges, edges.slice(0, 2));
 * ```
 */
export function partOf(all: readonly ServiceEdge[], { centre, depth, minCalls }: Choice): Part {
  const called = all.filter(({ calls }) => calls >= minCalls)
    .toSorted((a, b) => b.calls - a.calls);
  const isMany = namesOf(called).length > MAX_NODES;
  const middle = centre ?? (isMany ? busiest(called) : undefined);
  const reach = depth > 0 ? depth : isMany ? 1 : Infinity;
  const around = middle === undefined || reach === Infinity ? called : near(called, middle, reach);
  const edges = cut(around);
  return {
    edges,
    centre: middle,
    isCut: edges.length < around.length || (isMany && (centre === undefined || depth === 0)),
  };
}

/** The services of edges, by name. */
export function namesOf(edges: readonly ServiceEdge[]): string[] {
  return [...new Set(edges.flatMap(({ from, to }) => [from, to]))].sort();
}

function busiest(edges: readonly ServiceEdge[]): string | undefined {
  const calls = new Map<string, number>();
  for (const edge of edges) {
    for (const name of [edge.from, edge.to]) calls.set(name, (calls.get(name) ?? 0) + edge.calls);
  }
  return [...calls].toSorted(([, a], [, b]) => b - a)[0]?.[0];
}

function near(edges: readonly ServiceEdge[], centre: string, depth: number): ServiceEdge[] {
  const names = new Set([centre]);
  for (let step = 0; step < depth; step++) {
    const inner = new Set(names);
    for (const { from, to } of edges) {
      if (inner.has(from) || inner.has(to)) names.add(from).add(to);
    }
  }
  return edges.filter(({ from, to }) => names.has(from) && names.has(to));
}

function cut(edges: readonly ServiceEdge[]): readonly ServiceEdge[] {
  const names = new Set<string>();
  return edges.filter(({ from, to }) => {
    const more = (names.has(from) ? 0 : 1) + (names.has(to) ? 0 : 1);
    if (names.size + more > MAX_NODES) return false;
    names.add(from).add(to);
    return true;
  });
}
