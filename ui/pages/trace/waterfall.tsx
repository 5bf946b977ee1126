/** The spans of a trace as a tree beside their bars, and what is chosen of it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { TraceTree } from "../../frame/answers.ts";
import type { Slot } from "../../frame/colors.ts";
import { Details } from "../../frame/details.tsx";
import { parameter, setParameters } from "../../frame/location.ts";
import { preference } from "../../frame/preferences.ts";
import { Rows } from "../../frame/rows.tsx";
import { FindBar } from "./find_bar.tsx";
import { Minimap } from "./minimap.tsx";
import { SpanDetails } from "./span_details.tsx";
import { TraceLogs } from "./span_logs.tsx";
import { SpanPath } from "./span_path.tsx";
import { SpanRow } from "./span_row.tsx";
import { isFolded } from "./span_tree.ts";
import { actionsOn, rowAt } from "./trace_actions.ts";
import { useTraceKeys } from "./trace_keys.ts";
import type { TraceView } from "./trace_view.ts";
import { Grid, WaterfallHead } from "./waterfall_head.tsx";

const ROW_HEIGHT = 24;
const MAX_ROWS_MADE = 1_000;
/** How much of the width the tree takes, in percent. */
const treeWidth = preference("traceTreeWidth", 40);

/** The tree. */
export function Waterfall(
  { tree, view, slots }: {
    readonly tree: TraceTree;
    readonly view: TraceView;
    readonly slots: ReadonlyMap<string, Slot>;
  },
): JSX.Element {
  const { spans, visible, shown, at, focus, folds } = view;
  const actions = useMemo(() => actionsOn(view), [view]);
  const laneWidth = useSignal(0);
  const last = useRef(-1);
  if (at >= 0) last.current = at;
  const row = rowAt(view, last.current);
  const stop = Math.max(0, row);
  const box = useRef<HTMLInputElement>(null);
  const table = useRef<HTMLDivElement>(null);
  useTraceKeys({ view, actions, row, box });
  const isFirst = useRef(true);
  useLayoutEffect(() => {
    // Whoever opens a page is where the browser puts them.
    if (isFirst.current) return void (isFirst.current = false);
    if (document.activeElement?.closest(".trace-tools, .trace-path, .minimap")) return;
    table.current?.querySelector<HTMLElement>("[role=row][tabindex='0']")
      ?.focus({ preventScroll: true });
  }, [visible[row], at]);
  const base = focus < 0 ? 0 : spans[focus]!.span.depth;
  const chosen = spans[at];
  // While it is only scrolled, rows stay as they are: they need not even be compared.
  const rowsMade = new Map<number, JSX.Element>();
  return (
    <>
      <Minimap
        spans={spans}
        slots={slots}
        durationNs={view.durationNs}
        shown={shown}
        isZoomed={view.isZoomed || focus >= 0}
        show={actions.show}
      />
      <FindBar view={view} actions={actions} from={at < 0 ? visible[row] ?? -1 : at} box={box} />
      <SpanPath view={view} actions={actions} at={at} />
      <div class="columns trace-columns" style={{ "--tree": `${treeWidth.value}%` }}>
        {visible.length === 0
          ? <p class="notice grow">No span matches what is looked for.</p>
          : (
            <div class="span-table">
              <Grid shown={shown} laneWidth={laneWidth} />
              <Rows
                scroller={table}
                class="span-rows"
                role="treegrid"
                label="Spans"
                count={visible.length}
                height={ROW_HEIGHT}
                active={row}
                rowKey={(index) => spans[visible[index]!]!.key}
                head={<WaterfallHead shown={shown} width={treeWidth} laneWidth={laneWidth} />}
                row={(index) => {
                  const made = rowsMade.get(index);
                  if (made !== undefined) return made;
                  const place = visible[index]!;
                  const of = spans[place]!;
                  const fresh = (
                    <SpanRow
                      of={of}
                      index={index}
                      depth={of.span.depth - base}
                      slot={slots.get(of.span.service)!}
                      shown={shown}
                      stretches={view.path?.get(place)}
                      clockNs={view.clocks.get(place) ?? 0}
                      isAdjusted={view.isAdjusted}
                      isPartial={tree.hasMoreSpans}
                      isFolded={isFolded(folds, of)}
                      isSelected={place === at}
                      isFound={view.foundSet.has(place)}
                      isStop={index === stop}
                      open={() => actions.select(place)}
                      fold={() => actions.fold(place, !isFolded(folds, of))}
                    />
                  );
                  if (rowsMade.size >= MAX_ROWS_MADE) rowsMade.clear();
                  rowsMade.set(index, fresh);
                  return fresh;
                }}
              />
            </div>
          )}
        {chosen && (
          <SpanDetails
            key={chosen.key}
            tree={tree}
            of={chosen}
            clockNs={view.clocks.get(at) ?? 0}
            isAdjusted={view.isAdjusted}
            logs={tree.logs.filter(({ record }) => record.spanId === chosen.span.record.spanId)}
            close={actions.close}
          />
        )}
        {!chosen && parameter("panel") === "logs" && (
          <Details
            title="Log records of the trace"
            close={() => setParameters({ panel: "" }, { replace: true })}
          >
            <TraceLogs logs={tree.logs} hasMore={tree.hasMoreLogs} />
          </Details>
        )}
      </div>
    </>
  );
}
