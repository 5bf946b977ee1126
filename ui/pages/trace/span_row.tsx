/** A span as a row: its place in the tree, and its bar. */

import type { JSX } from "preact";
import type { Slot } from "../../frame/colors.ts";
import { count, duration } from "../../frame/format.ts";
import type { Stretch } from "./critical_path.ts";
import type { WaterfallSpan } from "./span_tree.ts";
import { strokes, UNITS } from "./strokes.ts";
import { clockText, clockWords, rootWords } from "./words.ts";

/** Deeper spans say how deep they are. So many levels take 40% of the tree at most: names have room. */
const MAX_INDENT = 16;

/** Properties of {@linkcode SpanRow}. */
export interface SpanRowProps {
  readonly of: WaterfallSpan;
  readonly index: number;
  /** How deep it is below what is shown. */
  readonly depth: number;
  readonly slot: Slot;
  /** The part of the trace that is in sight. */
  readonly shown: Stretch;
  readonly stretches: readonly Stretch[] | undefined;
  /** By how much its clock differs; 0 when that need not be said. */
  readonly clockNs: number;
  readonly isAdjusted: boolean;
  /** Whether spans are missing that may be its parent. */
  readonly isPartial: boolean;
  readonly isFolded: boolean;
  readonly isSelected: boolean;
  readonly isFound: boolean;
  /** Whether it is the one that Tab goes to. */
  readonly isStop: boolean;
  readonly open: () => void;
  readonly fold: () => void;
}

/** The row. */
export function SpanRow(props: SpanRowProps): JSX.Element {
  const { of, index, depth, slot, isFolded, isSelected, isFound, isStop, open, fold } = props;
  const { span, isError, below, errorsBelow, mark } = of;
  const indent = Math.min(depth, MAX_INDENT);
  const service = span.service || "no service";
  const name = span.record.name || "no name";
  return (
    <div
      class="span-row"
      role="row"
      aria-level={depth + 1}
      aria-expanded={below > 0 ? !isFolded : undefined}
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      data-found={isFound}
      tabIndex={isStop ? 0 : -1}
      style={{ "--color": slot.color }}
      onClick={() => {
        // Text that was chosen is to be copied.
        if (getSelection()?.isCollapsed !== false) open();
      }}
    >
      <span
        class="span-name"
        role="gridcell"
        title={`${service}: ${name}`}
        style={{ paddingLeft: `min(${indent * 12}px, ${indent * 2.5}%)` }}
      >
        {below > 0 && (
          <button
            type="button"
            class="quiet span-fold"
            tabIndex={-1}
            aria-label={isFolded ? "Open" : "Fold"}
            onClick={(event) => {
              event.stopPropagation();
              fold();
            }}
          />
        )}
        {depth > MAX_INDENT && (
          <span class="muted num" title={`${depth} levels below the first`}>{depth}</span>
        )}
        {isError && <span class="error">●</span>}
        {!isError && isFolded && errorsBelow > 0 && (
          <span class="error" title={`${count(errorsBelow)} errors below`}>○</span>
        )}
        <strong>{service}</strong>
        <span class="span-operation">{name}</span>
        {isError && <span class="error">Error</span>}
        {isFolded && (
          <span class="muted">
            ({count(below)} hidden{errorsBelow > 0 &&
              `, ${count(errorsBelow)} ${errorsBelow === 1 ? "error" : "errors"}`})
          </span>
        )}
        {mark && (
          <span class="warn" title={rootWords(of, props.isPartial)}>
            {mark === "orphan" ? "extra root" : "circle"}
          </span>
        )}
        {props.clockNs !== 0 && (
          <span class="warn" title={clockWords(props.clockNs, props.isAdjusted)}>
            {clockText(props.clockNs, props.isAdjusted)}
          </span>
        )}
      </span>
      <Lane {...props} />
    </div>
  );
}

/** The bar, when it is in sight, and how long it is. */
function Lane({ of, shown, stretches }: SpanRowProps): JSX.Element {
  const { span, startNs, endNs, isError } = of;
  const lengthNs = Math.max(1, shown.toNs - shown.fromNs);
  const place = (ns: number) => Math.max(0, Math.min(100, (ns - shown.fromNs) / lengthNs * 100));
  const text = of.isRunning ? "running" : duration(endNs - startNs);
  if (endNs < shown.fromNs || startNs > shown.toNs) {
    const isBefore = endNs < shown.fromNs;
    return (
      <span class="span-lane" role="gridcell">
        <span
          class={isBefore ? "span-duration" : "span-duration is-after"}
          title={isBefore ? "Before what is shown" : "After what is shown"}
        >
          {isBefore ? `‹ ${text}` : `${text} ›`}
        </span>
      </span>
    );
  }
  return (
    <span class="span-lane" role="gridcell">
      <span
        class={isError ? "span-bar has-error" : "span-bar"}
        style={{ left: `${place(startNs)}%`, width: `${place(endNs) - place(startNs)}%` }}
      />
      {stretches && <Strokes class="span-critical" path={strokes(stretches, shown, 2)} />}
      {span.record.events.length > 0 && (
        <Strokes class="span-events" path={strokes(eventTimes(of), shown, 1.5)} />
      )}
      <span
        class="span-duration"
        title={`${endNs - startNs} ns`}
        style={{ left: `calc(${place(endNs)}% + 6px)` }}
      >
        {text}
      </span>
    </span>
  );
}

function Strokes({ class: name, path }: { readonly class: string; readonly path: string }) {
  if (path === "") return null;
  return (
    <svg class={name} viewBox={`0 0 ${UNITS} 1`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

function eventTimes({ span: { record }, startNs }: WaterfallSpan): Stretch[] {
  const begunNs = BigInt(record.startTimeUnixNano);
  return record.events
    .map(({ timeUnixNano }) => startNs + Number(BigInt(timeUnixNano) - begunNs))
    .sort((a, b) => a - b)
    .map((ns) => ({ fromNs: ns, toNs: ns }));
}
