/** A service graph as a picture; the table beside it says the same. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Slot } from "../../frame/colors.ts";
import { count, percent } from "../../frame/format.ts";
import { layered, NODE, type Point } from "./layers.ts";
import { edgeKey, namesOf, type ServiceEdge } from "./neighbourhood.ts";
import { shownName } from "./service_name.tsx";

/** Room around it, for outlines. */
const MARGIN = 8;
/** Characters that fit in a node. */
const MAX_CHARACTERS = 20;
/** With more edges their labels would cover each other. */
const MAX_LABELS = 40;
/** How far below calls links are drawn. */
const LINK_BELOW = 12;

/** Properties of {@linkcode GraphDrawing}. */
export interface GraphDrawingProps {
  readonly edges: readonly ServiceEdge[];
  readonly slots: ReadonlyMap<string, Slot>;
  readonly selected: string;
  /** What was found. */
  readonly found: (name: string) => boolean;
  readonly choose: (name: string) => void;
}

/** The picture. */
export function GraphDrawing(props: GraphDrawingProps): JSX.Element {
  const { edges, slots, selected, found, choose } = props;
  const names = namesOf(edges);
  // New numbers move nothing.
  const shape = edges.map(edgeKey).sort().join();
  const layout = useMemo(() => {
    const byName = edges.map(({ from, to, kind }) => ({
      from,
      to,
      kind,
      key: edgeKey({ from, to, kind }),
    }))
      .sort((a, b) => a.key < b.key ? -1 : 1);
    return layered(byName);
  }, [shape]);
  const told = new Map(edges.map((edge) => [edgeKey(edge), edge]));
  const most = Math.max(1, ...edges.map(({ calls }) => calls));
  const width = layout.width + 2 * MARGIN;
  const height = layout.height + 2 * MARGIN;
  return (
    <svg
      class="graph"
      width={width}
      height={height}
      viewBox={`${-MARGIN} ${-MARGIN} ${width} ${height}`}
      role="group"
      aria-label="Service graph; the table of calls says the same"
    >
      <defs>
        {["calls", "failing"].map((kind) => (
          <marker
            key={kind}
            id={`arrow-${kind}`}
            class={kind}
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="8"
            markerHeight="8"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 0 8 4 0 8z" />
          </marker>
        ))}
      </defs>
      {layout.edges.map(({ edge: { from, to, kind, key }, points: middle }) => {
        const edge = told.get(key);
        if (edge === undefined) return null;
        // Beside the calls between the same two.
        const points = kind === "link"
          ? middle.map(({ x, y }) => ({ x, y: y + LINK_BELOW }))
          : middle;
        const isNear = selected === from || selected === to;
        return (
          <g
            key={key}
            class={`edge ${kind} ${edge.errors > 0 ? "failing" : "calls"} ${isNear ? "near" : ""}`}
          >
            <title>{callText(edge)}</title>
            <path
              d={pathOf(points)}
              style={{ strokeWidth: 1 + 3 * Math.log1p(edge.calls) / Math.log1p(most) }}
              marker-end={`url(#arrow-${edge.errors > 0 ? "failing" : "calls"})`}
            />
            {(edges.length <= MAX_LABELS || isNear) && <EdgeLabel edge={edge} points={points} />}
          </g>
        );
      })}
      {names.map((name) => (
        <Node
          key={name}
          name={name}
          at={layout.nodes.get(name)!}
          slot={slots.get(name)}
          isSelected={name === selected}
          isFound={found(name)}
          edges={edges}
          choose={() => choose(name)}
        />
      ))}
    </svg>
  );
}

function Node(
  { name, at, slot, isSelected, isFound, edges, choose }: {
    readonly name: string;
    readonly at: Point;
    readonly slot: Slot | undefined;
    readonly isSelected: boolean;
    readonly isFound: boolean;
    readonly edges: readonly ServiceEdge[];
    readonly choose: () => void;
  },
): JSX.Element {
  const into = edges.filter(({ to }) => to === name);
  const kinds = (["call", "link"] as const).map((kind) => {
    const calls = into.reduce((sum, one) => sum + (one.kind === kind ? one.calls : 0), 0);
    return calls === 0 ? "" : `${count(calls)} ${calls === 1 ? kind : `${kind}s`}`;
  }).filter((text) => text !== "");
  const calls = into.reduce((sum, one) => sum + one.calls, 0);
  const errors = into.reduce((sum, one) => sum + one.errors, 0);
  const text = shownName(name);
  const isLong = text.length > MAX_CHARACTERS;
  const below = calls === 0
    ? "not called"
    : `${kinds.join(" · ")}${errors === 0 ? "" : ` · ⚠ ${percent(errors, calls)} errors`}`;
  return (
    <g
      class={`node ${isSelected ? "selected" : ""} ${isFound ? "found" : ""} ${
        errors > 0 ? "failing" : ""
      }`}
      transform={`translate(${at.x} ${at.y})`}
      role="button"
      tabIndex={0}
      aria-pressed={isSelected}
      onClick={choose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      }}
    >
      {isLong && <title>{`${text} ${below}`}</title>}
      <rect class="node-box" width={NODE.width} height={NODE.height} rx="4" />
      <line
        class="node-color"
        x1="2.5"
        x2="2.5"
        y1="1"
        y2={NODE.height - 1}
        style={{ stroke: `var(${slot?.name})`, strokeDasharray: slot?.repeats ? "4 3" : "none" }}
      />
      <text>
        <tspan x="14" y="17" class="node-name">
          {isLong ? `${text.slice(0, MAX_CHARACTERS - 1)}…` : text}
        </tspan>{" "}
        <tspan x="14" y="32" class="node-below">{below}</tspan>
      </text>
    </g>
  );
}

function EdgeLabel(
  { edge, points }: { readonly edge: ServiceEdge; readonly points: readonly Point[] },
): JSX.Element {
  const at = Math.floor(points.length / 2);
  const [a, b] = [points[at - 1]!, points[at]!];
  return (
    <text
      class="edge-label"
      x={(a.x + b.x) / 2}
      y={(a.y + b.y) / 2 + (edge.kind === "link" ? LINK_BELOW : -4)}
    >
      {count(edge.calls)}
      {edge.errors > 0 ? ` ⚠${percent(edge.errors, edge.calls)}` : ""}
    </text>
  );
}

function callText({ from, to, kind, calls, errors }: ServiceEdge): string {
  return `${shownName(from)} → ${shownName(to)}: ${calls} ${kind}s, ${errors} errors`;
}

/** A smooth line that leaves and enters sideways. */
function pathOf([first, ...rest]: readonly Point[]): string {
  let from = first!;
  const parts = [`M${from.x} ${from.y}`];
  for (const to of rest) {
    const middle = (from.x + to.x) / 2;
    parts.push(`C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}`);
    from = to;
  }
  return parts.join("");
}
