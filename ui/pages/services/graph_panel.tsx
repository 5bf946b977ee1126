/** The service graph and what it is narrowed by. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Answer } from "../../frame/answer.ts";
import type { ServiceGraph } from "../../frame/answers.ts";
import { slotsOf } from "../../frame/colors.ts";
import { count } from "../../frame/format.ts";
import { useKeys } from "../../frame/keys.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { CallsTable } from "./calls_table.tsx";
import { GraphDrawing } from "./graph_drawing.tsx";
import { namesOf, partOf, type ServiceEdge } from "./neighbourhood.ts";
import { shownName } from "./service_name.tsx";

/** What the API gives at most. */
export const MAX_EDGES = 1_000;

/** The graph. */
export function GraphPanel(
  { answer, names, choose }: {
    readonly answer: Answer<ServiceGraph>;
    /** All services of the view, for their colours. */
    readonly names: readonly string[];
    readonly choose: (service: string) => void;
  },
): JSX.Element {
  const search = useRef<HTMLInputElement>(null);
  useKeys([{ key: "/", about: "Find a service", act: () => search.current?.focus() }]);
  const find = parameter("find");
  const depth = /^[123]$/.test(parameter("depth")) ? Number(parameter("depth")) : 0;
  const minCalls = Math.max(0, Number.parseInt(parameter("calls")) || 0);
  const selected = parameter("service");
  const found = (name: string) => find !== "" && name.toLowerCase().includes(find.toLowerCase());
  const edges = answer.data.value?.edges ?? [];
  return (
    <>
      <div class="bar" role="search">
        <h2>Who calls whom</h2>
        <span class="grow" />
        <label>
          <span class="hidden">Find a service</span>
          <input
            ref={search}
            type="search"
            placeholder="Find a service"
            value={find}
            onKeyDown={({ key }) => {
              const first = namesOf(edges).find(found);
              if (key === "Enter" && first !== undefined) choose(first);
            }}
            onInput={({ currentTarget: { value } }) =>
              setParameters({ find: value }, { replace: true })}
          />
        </label>
        <label>
          Depth{" "}
          <select
            value={String(depth)}
            onChange={({ currentTarget: { value } }) =>
              setParameters({ depth: value === "0" ? "" : value })}
          >
            <option value="0">any</option>
            {["1", "2", "3"].map((value) => <option key={value} value={value}>{value}</option>)}
          </select>
        </label>
        <label>
          Min calls{" "}
          <input
            class="short"
            type="number"
            min="0"
            value={minCalls === 0 ? "" : minCalls}
            placeholder="0"
            onInput={({ currentTarget: { value } }) =>
              setParameters({ calls: value }, { replace: true })}
          />
        </label>
      </div>
      <Panel answer={answer} label="Service graph" class="graph-panel">
        {(graph) => (
          <Graph
            all={graph.edges}
            part={{ centre: selected || undefined, depth, minCalls }}
            names={names}
            selected={selected}
            found={found}
            choose={choose}
          />
        )}
      </Panel>
    </>
  );
}

function Graph(
  { all, part, names, selected, found, choose }: {
    readonly all: readonly ServiceEdge[];
    readonly part: Parameters<typeof partOf>[1];
    readonly names: readonly string[];
    readonly selected: string;
    readonly found: (name: string) => boolean;
    readonly choose: (service: string) => void;
  },
): JSX.Element {
  if (all.length === 0) {
    return <p class="muted">No service called another one in this time range.</p>;
  }
  // A service without calls narrows nothing.
  const isInGraph = all.some(({ from, to }) => from === part.centre || to === part.centre);
  const { edges, centre, isCut } = partOf(all, {
    ...part,
    centre: isInGraph ? part.centre : undefined,
    depth: isInGraph || part.centre === undefined ? part.depth : 0,
  });
  const isNarrow = edges.length < all.length;
  const slots = slotsOf([...names, ...namesOf(all)]);
  return (
    <>
      {(isNarrow || isCut || all.length >= MAX_EDGES) && (
        <p class="notice" role="status">
          <span class="grow">
            {count(edges.length)} of {all.length >= MAX_EDGES ? "≥" : ""}
            {count(all.length)} connections
            {centre !== undefined && isNarrow ? `, around ${shownName(centre)}` : ""}.
            {isCut && " There are too many services to draw them all: choose one."}
          </span>
          {isNarrow && (
            <button
              type="button"
              onClick={() => setParameters({ depth: "", calls: "", service: "" })}
            >
              Show all
            </button>
          )}
        </p>
      )}
      {edges.length === 0
        ? <p class="muted">No connection has so many calls.</p>
        : (
          <div class="graph-columns">
            <div class="graph-place" tabIndex={0} role="group" aria-label="Service graph, scrolls">
              <GraphDrawing
                edges={edges}
                slots={slots}
                selected={selected}
                found={found}
                choose={choose}
              />
            </div>
            <CallsTable edges={edges} />
          </div>
        )}
    </>
  );
}
