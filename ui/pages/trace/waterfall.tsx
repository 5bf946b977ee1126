/** The spans of a trace as a tree beside their bars, and what is chosen of it. */

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { TraceTree } from "../../frame/answers.ts";
import type { Slot } from "../../frame/colors.ts";
import { duration } from "../../frame/format.ts";
import { useKeys } from "../../frame/keys.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { Rows } from "../../frame/rows.tsx";
import { criticalPath, type Stretch } from "./critical_path.ts";
import { findSpans, step } from "./find.ts";
import { Minimap } from "./minimap.tsx";
import { SpanDetails } from "./span_details.tsx";
import { SpanRow } from "./span_row.tsx";
import {
  ancestors,
  foldsText,
  isFolded,
  readFolds,
  visibleSpans,
  type WaterfallSpan,
  withFolds,
} from "./span_tree.ts";

const ROW_HEIGHT = 24;
const NONE: readonly Stretch[] = [];

/** The tree. */
export function Waterfall(
  { tree, spans, slots }: {
    readonly tree: TraceTree;
    readonly spans: readonly WaterfallSpan[];
    readonly slots: ReadonlyMap<string, Slot>;
  },
): JSX.Element {
  const durationNs = Math.max(1, Number(tree.durationNs));
  const shown = windowOf(parameter("window"), durationNs);
  const text = parameter("find");
  const found = useMemo(() => findSpans(spans, text), [spans, text]);
  const foundSet = useMemo(() => new Set(found), [found]);
  const errors = useMemo(
    () => spans.flatMap(({ isError }, at) => isError ? [at] : []),
    [spans],
  );
  const isCritical = parameter("critical") !== "";
  const path = useMemo(() => isCritical ? criticalPath(spans) : undefined, [spans, isCritical]);
  const foldText = parameter("fold");
  const folds = useMemo(() => readFolds(foldText), [foldText]);
  const visible = useMemo(() => visibleSpans(spans, folds), [spans, folds]);
  const places = useMemo(() => new Map(spans.map(({ key }, at) => [key, at])), [spans]);
  const at = places.get(parameter("span")) ?? -1;
  const row = visible.indexOf(at);
  const moved = useRef(false);
  const findBox = useRef<HTMLInputElement>(null);

  const select = (to: number, changes: Readonly<Record<string, string>> = {}) => {
    const span = spans[to];
    if (span === undefined) return;
    moved.current = true;
    setParameters({ span: span.key, ...changes }, { replace: true });
  };
  /** Selects a span that may be hidden. */
  const reveal = (to: number) => {
    if (to < 0) return;
    select(to, { fold: foldsText(withFolds(folds, ancestors(spans, to), false)) });
  };
  const fold = (index: number, folded: boolean) =>
    setParameters({ fold: foldsText(withFolds(folds, [spans[index]!], folded)) }, {
      replace: true,
    });
  const toRow = (index: number) => {
    const last = visible.length - 1;
    select(visible[Math.max(0, Math.min(last, index))]!);
  };
  const left = () => {
    const span = spans[at];
    if (span === undefined) return;
    if (span.below > 0 && !isFolded(folds, span)) fold(at, true);
    else if (span.span.parent !== undefined) select(span.span.parent);
  };
  const right = () => {
    const span = spans[at];
    if (span === undefined || span.below === 0) return;
    if (isFolded(folds, span)) fold(at, false);
    else select(at + 1);
  };
  const next = (by: 1 | -1) => () => reveal(step(found, at < 0 && by < 0 ? spans.length : at, by));
  const nextError = (by: 1 | -1) => () =>
    reveal(step(errors, at < 0 && by < 0 ? spans.length : at, by));
  const toggleCritical = () =>
    setParameters({ critical: isCritical ? "" : "1" }, { replace: true });
  useKeys([
    { key: "j", about: "Next span", act: () => toRow(row + 1) },
    { key: "k", about: "Span before", act: () => toRow(row - 1) },
    { key: "ArrowDown", about: "Next span", act: () => toRow(row + 1) },
    { key: "ArrowUp", about: "Span before", act: () => toRow(row - 1) },
    { key: "PageDown", about: "A page on", act: () => toRow(row + 20) },
    { key: "PageUp", about: "A page back", act: () => toRow(row - 20) },
    { key: "Home", about: "First span", act: () => toRow(0) },
    { key: "End", about: "Last span", act: () => toRow(visible.length - 1) },
    { key: "ArrowLeft", about: "Fold, or go to the parent", act: left },
    { key: "ArrowRight", about: "Open, or go to the first child", act: right },
    {
      key: "Enter",
      about: "Fold or open",
      act: () => {
        if (spans[at]?.below) fold(at, !isFolded(folds, spans[at]!));
      },
    },
    { key: "[", about: "Fold all", act: () => setParameters({ fold: "all" }, { replace: true }) },
    { key: "]", about: "Open all", act: () => setParameters({ fold: "" }, { replace: true }) },
    { key: "/", about: "Find", act: () => findBox.current?.focus() },
    { key: "n", about: "Next match", act: next(1) },
    { key: "N", about: "Match before", act: next(-1) },
    { key: "e", about: "Next error", act: nextError(1) },
    { key: "E", about: "Error before", act: nextError(-1) },
    { key: "x", about: "Critical path", act: toggleCritical },
    {
      key: "z",
      about: "Show all of the time",
      act: () => setParameters({ window: "" }, { replace: true }),
    },
  ], [spans, visible, folds, found, errors, at, isCritical]);
  useLayoutEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    if (document.activeElement === findBox.current) return;
    document.querySelector<HTMLElement>(".span-row[aria-selected=true]")
      ?.focus({ preventScroll: true });
  }, [at]);
  const show = (part: Stretch | undefined) =>
    setParameters({ window: part ? `${part.fromNs}-${part.toNs}` : "" });
  const close = () => setParameters({ span: "" }, { replace: true });
  const chosen = spans[at];
  return (
    <>
      <Minimap spans={spans} slots={slots} durationNs={durationNs} shown={shown} show={show} />
      <div class="trace-tools" role="search">
        <input
          ref={findBox}
          type="search"
          aria-label="Find in the trace"
          placeholder="Find: text, or key=value"
          value={text}
          onInput={(event) => setParameters({ find: event.currentTarget.value }, { replace: true })}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            next(event.shiftKey ? -1 : 1)();
          }}
        />
        <span class="num" role="status">
          {text !== "" && `${found.indexOf(at) + 1}/${found.length}`}
        </span>
        <button type="button" onClick={next(-1)} disabled={found.length === 0}>Previous</button>
        <button type="button" onClick={next(1)} disabled={found.length === 0}>Next</button>
        <button type="button" onClick={nextError(1)} disabled={errors.length === 0}>
          Next error
        </button>
        <button type="button" aria-pressed={isCritical} onClick={toggleCritical}>
          Critical path
        </button>
        {parameter("window") !== "" && (
          <button type="button" onClick={() => show(undefined)}>Show all of the time</button>
        )}
        {chosen && (
          <nav class="trace-path" aria-label="Spans above">
            {ancestors(spans, at).slice(-4).map((above) => (
              <button
                key={above.key}
                type="button"
                class="quiet"
                onClick={() => select(places.get(above.key)!)}
              >
                {above.span.record.name || "no name"} ›
              </button>
            ))}
          </nav>
        )}
      </div>
      <div class="columns">
        <Rows
          class="span-rows"
          role="treegrid"
          label="Spans"
          count={visible.length}
          height={ROW_HEIGHT}
          active={row}
          rowKey={(index) => spans[visible[index]!]!.key}
          head={<Axis shown={shown} />}
          row={(index) => {
            const place = visible[index]!;
            const of = spans[place]!;
            return (
              <SpanRow
                of={of}
                index={index}
                slot={slots.get(of.span.service)!}
                shown={shown}
                stretches={path?.get(place) ?? NONE}
                isFolded={isFolded(folds, of)}
                isSelected={place === at}
                isFound={foundSet.has(place)}
                open={() => select(place)}
                fold={() => fold(place, !isFolded(folds, of))}
              />
            );
          }}
        />
        {chosen && (
          <SpanDetails
            key={chosen.key}
            of={chosen}
            logs={tree.logs.filter(({ record }) => record.spanId === chosen.span.record.spanId)}
            close={close}
          />
        )}
      </div>
    </>
  );
}

function Axis({ shown }: { readonly shown: Stretch }): JSX.Element {
  const lengthNs = shown.toNs - shown.fromNs;
  return (
    <div class="span-row span-head" aria-hidden="true">
      <span>Service and operation</span>
      <span class="span-axis num">
        {[0, 0.25, 0.5, 0.75].map((part) => (
          <span key={part}>{duration(shown.fromNs + lengthNs * part)}</span>
        ))}
      </span>
    </div>
  );
}

/** The part of the trace that the address says; all of it when it says none. */
function windowOf(text: string, durationNs: number): Stretch {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const fromNs = Number(from ?? 0);
  const toNs = Math.min(durationNs, Number(to ?? durationNs));
  return fromNs < toNs ? { fromNs, toNs } : { fromNs: 0, toNs: durationNs };
}
