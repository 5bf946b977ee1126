/**
 * Places a graph in layers from left to right: who calls stands left of who is called, as far as
 * there are no circles. Within a layer nodes stand near their neighbours (barycentres), so that few
 * edges cross; an edge over several layers has a place of its own in each.
 */

/** Between two nodes. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** A place in pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How large nodes are, and how far apart. */
export const NODE = { width: 168, height: 40, gapX: 104, gapY: 20 } as const;

/** Where everything is. */
export interface Layout<E extends Edge> {
  readonly width: number;
  readonly height: number;
  /** The top left corner of each node. */
  readonly nodes: ReadonlyMap<string, Point>;
  /** Edges and through which points they go, from the side of a node to the side of the other. */
  readonly edges: readonly { readonly edge: E; readonly points: readonly Point[] }[];
}

/** A node, or the place of an edge that passes. */
interface Cell {
  readonly layer: number;
  readonly isNode: boolean;
  readonly left: Cell[];
  readonly right: Cell[];
  /** Its place in its layer. */
  at: number;
  y: number;
}

const SWEEPS = 6;
const PASSING_HEIGHT = 12;

/**
 * Places a graph.
 *
 * @example A circle goes on to the right, and one edge of it back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const { nodes } = layered([
 *   { from: "a", to: "b" },
 *   { from: "b", to: "c" },
 *   { from: "c", to: "a" },
 * ]);
 * const [a, b, c] = ["a", "b", "c"].map((name) => nodes.get(name)!.x);
 * assert.ok(a! < b! && b! < c!);
 * ```
 */
export function layered<E extends Edge>(edges: readonly E[]): Layout<E> {
  const names = [...new Set(edges.flatMap(({ from, to }) => [from, to]))].sort();
  const layers = layersOf(names, edges);
  const cells: Cell[][] = [];
  const cell = (layer: number, isNode: boolean): Cell => {
    const row = cells[layer] ??= [];
    const made = { layer, isNode, left: [], right: [], at: row.length, y: 0 };
    row.push(made);
    return made;
  };
  const nodes = new Map(names.map((name) => [name, cell(layers.get(name)!, true)]));
  const chains = edges.map((edge) => {
    const ends = [nodes.get(edge.from)!, nodes.get(edge.to)!];
    const isBack = ends[0]!.layer > ends[1]!.layer;
    const [first, last] = isBack ? ends.reverse() : ends;
    const chain = [first!];
    for (let layer = first!.layer + 1; layer < last!.layer; layer++) chain.push(cell(layer, false));
    chain.push(last!);
    for (const [at, right] of chain.slice(1).entries()) {
      chain[at]!.right.push(right);
      right.left.push(chain[at]!);
    }
    return { edge, chain, isBack };
  });
  order(cells);
  const height = place(cells);
  return {
    width: cells.length * (NODE.width + NODE.gapX) - NODE.gapX,
    height,
    nodes: new Map([...nodes].map(([name, { layer, y }]) => [name, { x: leftOf(layer), y }])),
    edges: chains.map(({ edge, chain, isBack }) => {
      const points = chain.flatMap((one, at) =>
        pointsOf(one, at === 0, at === chain.length - 1, isBack)
      );
      return { edge, points: isBack ? points.reverse() : points };
    }),
  };
}

function leftOf(layer: number): number {
  return layer * (NODE.width + NODE.gapX);
}

/** Where an edge leaves or enters a node, or passes a layer. Edges back keep off those there. */
function pointsOf({ layer, isNode, y }: Cell, isFirst: boolean, isLast: boolean, isBack: boolean) {
  const middle = y + (isNode ? NODE.height : PASSING_HEIGHT) / 2 + (isBack && isNode ? 10 : 0);
  const left = { x: leftOf(layer), y: middle };
  const right = { x: left.x + NODE.width, y: middle };
  return isFirst ? [right] : isLast ? [left] : [left, right];
}

/** The longest way to each node; edges that close a circle count as if they went the other way. */
function layersOf(names: readonly string[], edges: readonly Edge[]): Map<string, number> {
  const calls = Map.groupBy(edges, ({ from }) => from);
  const called = Map.groupBy(edges, ({ to }) => to);
  const surplus = (name: string) =>
    (calls.get(name)?.length ?? 0) - (called.get(name)?.length ?? 0) * names.length;
  const state = new Map<string, "open" | "done">();
  const finished: string[] = [];
  const forward: Edge[] = [];
  const visit = (name: string) => {
    state.set(name, "open");
    for (const edge of calls.get(name) ?? []) {
      if (state.get(edge.to) === "open") {
        forward.push({ from: edge.to, to: edge.from });
        continue;
      }
      forward.push(edge);
      if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(name, "done");
    finished.push(name);
  };
  // Those that nobody calls begin.
  for (const name of names.toSorted((a, b) => surplus(b) - surplus(a))) {
    if (!state.has(name)) visit(name);
  }
  const layers = new Map<string, number>(names.map((name) => [name, 0]));
  const onward = Map.groupBy(forward, ({ from }) => from);
  for (const name of finished.reverse()) {
    for (const { to } of onward.get(name) ?? []) {
      if (to !== name) layers.set(to, Math.max(layers.get(to)!, layers.get(name)! + 1));
    }
  }
  return layers;
}

/** Puts the cells of each layer near their neighbours, from the left and from the right by turns. */
function order(cells: readonly Cell[][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 === 0 ? "left" : "right";
    for (const row of side === "left" ? cells : cells.toReversed()) {
      const middles = new Map(row.map((cell) => {
        const near = cell[side];
        const sum = near.reduce((total, { at }) => total + at, 0);
        return [cell, near.length === 0 ? cell.at : sum / near.length];
      }));
      row.sort((a, b) => middles.get(a)! - middles.get(b)!);
      row.forEach((cell, at) => cell.at = at);
    }
  }
}

/** Stacks the cells of each layer around one middle line. Returns the height of all. */
function place(cells: readonly Cell[][]): number {
  const heightOf = ({ isNode }: Cell) => isNode ? NODE.height : PASSING_HEIGHT;
  const heights = cells.map((row) =>
    row.reduce((sum, cell) => sum + heightOf(cell) + NODE.gapY, -NODE.gapY)
  );
  const height = Math.max(...heights, 0);
  for (const [at, row] of cells.entries()) {
    let y = (height - heights[at]!) / 2;
    for (const cell of row) {
      cell.y = y;
      y += heightOf(cell) + NODE.gapY;
    }
  }
  return height;
}
