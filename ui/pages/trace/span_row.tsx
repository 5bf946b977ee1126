/** A span as a row: its place in the tree, and its bar. */

import type { JSX } from "preact";
import type { Slot } from "../../frame/colors.ts";
import { count, duration } from "../../frame/format.ts";
import { Icon } from "../../frame/icons.tsx";
import type { Stretch } from "./critical_path.ts";
import type { WaterfallSpan } from "./span_tree.ts";

/** So many events of a span are shown as ticks at most; all of them stand in its details. */
const MAX_TICKS = 6;
const MAX_STRETCHES = 6;
const MAX_INDENT = 16;

/** The row. */
export function SpanRow(
  { of, index, slot, shown, stretches, isFolded, isSelected, isFound, open, fold }: {
    readonly of: WaterfallSpan;
    readonly index: number;
    readonly slot: Slot;
    /** The part of the trace that is in sight. */
    readonly shown: Stretch;
    readonly stretches: readonly Stretch[];
    readonly isFolded: boolean;
    readonly isSelected: boolean;
    readonly isFound: boolean;
    readonly open: () => void;
    readonly fold: () => void;
  },
): JSX.Element {
  const { span, startNs, endNs, isError, below, errorsBelow, mark } = of;
  const lengthNs = Math.max(1, shown.toNs - shown.fromNs);
  const place = (ns: number) => Math.max(0, Math.min(100, (ns - shown.fromNs) / lengthNs * 100));
  const isInSight = endNs >= shown.fromNs && startNs <= shown.toNs;
  const width = place(endNs) - place(startNs);
  const begunNs = BigInt(span.record.startTimeUnixNano);
  return (
    <div
      class="span-row"
      role="row"
      aria-level={span.depth + 1}
      aria-expanded={below > 0 ? !isFolded : undefined}
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      data-found={isFound}
      tabIndex={isSelected ? 0 : -1}
      onClick={() => {
        // Text that was chosen is to be copied.
        if (getSelection()?.isCollapsed !== false) open();
      }}
    >
      <span
        class="span-name"
        role="gridcell"
        style={{ paddingLeft: `${Math.min(span.depth, MAX_INDENT) * 12}px` }}
      >
        {below > 0
          ? (
            <button
              type="button"
              class="quiet span-fold"
              tabIndex={-1}
              aria-label={isFolded ? "Open" : "Fold"}
              onClick={(event) => {
                event.stopPropagation();
                fold();
              }}
            >
              <Icon name={isFolded ? "right" : "down"} />
            </button>
          )
          : <i class="span-fold" />}
        <i class="span-color" style={{ background: slot.color }} />
        {isError && (
          <span class="error span-error">
            <Icon name="error" />Error
          </span>
        )}
        {!isError && isFolded && errorsBelow > 0 && (
          <span class="error" title={`${errorsBelow} errors below`}>○</span>
        )}
        {mark && (
          <span
            class="warn"
            title={mark === "orphan"
              ? "Its parent is not here: it may have been sampled away, be late, or be lost"
              : "Its parents go round in a circle, which was cut here"}
          >
            {mark}
          </span>
        )}
        <strong>{span.service || "no service"}</strong> {span.record.name || "no name"}
        {isFolded && (
          <span class="muted">
            ({count(below)} hidden{errorsBelow > 0 &&
              `, ${count(errorsBelow)} ${errorsBelow === 1 ? "error" : "errors"}`})
          </span>
        )}
      </span>
      <span class="span-time" role="gridcell">
        <span class="span-lane">
          {isInSight && (
            <span
              class={isError ? "span-bar has-error" : "span-bar"}
              style={{ left: `${place(startNs)}%`, width: `${width}%`, background: slot.color }}
            />
          )}
          {isInSight && stretches.slice(0, MAX_STRETCHES).map(({ fromNs, toNs }) => (
            <span
              key={fromNs}
              class="span-critical"
              style={{ left: `${place(fromNs)}%`, width: `${place(toNs) - place(fromNs)}%` }}
            />
          ))}
          {isInSight && span.record.events.slice(0, MAX_TICKS).map((event, at) => {
            const ns = startNs + Number(BigInt(event.timeUnixNano) - begunNs);
            if (ns < shown.fromNs || ns > shown.toNs) return null;
            return (
              <span
                key={at}
                class="span-tick"
                title={event.name}
                style={{ left: `${place(ns)}%` }}
              />
            );
          })}
          <span
            class="span-duration num"
            title={`${endNs - startNs} ns`}
            style={{ left: `calc(${place(endNs)}% + 6px)` }}
          >
            {of.isRunning ? "running" : duration(endNs - startNs)}
          </span>
        </span>
      </span>
    </div>
  );
}
