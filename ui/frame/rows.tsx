/** A list of any length of which only the rows in sight are there. */

import { useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

const OVERSCAN = 10;
/** Browsers make nothing higher than some ten million pixels; beyond this the bar moves faster. */
const MAX_PIXELS = 8_000_000;

/** Properties of {@linkcode Rows}. */
export interface RowsProps {
  readonly count: number;
  /** Height of a row in pixels. */
  readonly height: number;
  /** Makes a row; it gets the place it has to take. */
  readonly row: (index: number) => JSX.Element;
  /** Tells a row from others. */
  readonly rowKey: (index: number) => string | number;
  /** The row that has to be there and in sight; it is scrolled to when it changes. */
  readonly active?: number | undefined;
  /** Gets what scrolls. */
  readonly scroller?: RefObject<HTMLDivElement | null>;
  readonly onScroll?: (first: number, last: number) => void;
  readonly class?: string;
  readonly role?: "list" | "grid" | "treegrid";
  readonly label: string;
  /** Stands above the rows and stays there. */
  readonly head?: JSX.Element | undefined;
}

/** The rows. */
export function Rows(props: RowsProps): JSX.Element {
  const { count, height, row, rowKey, active, head } = props;
  const own = useRef<HTMLDivElement>(null);
  const scroller = props.scroller ?? own;
  const top = useSignal(0);
  const view = useSignal(600);
  const pixels = Math.min(count * height, MAX_PIXELS);
  // How many pixels of the list one pixel of the bar stands for.
  const scale = pixels <= view.value ? 1 : (count * height - view.value) / (pixels - view.value);
  const offset = top.value * scale;
  const first = Math.max(0, Math.floor(offset / height) - OVERSCAN);
  const last = Math.min(count, Math.ceil((offset + view.value) / height) + OVERSCAN);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = () => view.value = element.clientHeight || 600;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (active === undefined || active < 0) return;
    const element = scroller.current!;
    const headHeight = element.querySelector<HTMLElement>(".rows-head")?.offsetHeight ?? 0;
    const visible = element.clientHeight - headHeight;
    const from = element.scrollTop * scale;
    const at = active * height;
    if (at < from) element.scrollTop = at / scale;
    else if (at + height > from + visible) element.scrollTop = (at + height - visible) / scale;
  }, [active]);
  useEffect(() => props.onScroll?.(first, last), [first, last]);

  const mounted: number[] = [];
  for (let index = first; index < last; index++) mounted.push(index);
  // The row with the focus must not go with it.
  if (active !== undefined && active >= 0 && active < count && (active < first || active >= last)) {
    mounted.push(active);
  }
  return (
    <div
      ref={scroller}
      class={`rows ${props.class ?? ""}`}
      // Rows that take no focus are scrolled to by the keys of what is around them.
      tabIndex={props.role === "grid" ? 0 : undefined}
      onScroll={(event) => top.value = event.currentTarget.scrollTop}
    >
      {head && <div class="rows-head">{head}</div>}
      <div
        class="rows-all"
        role={props.role ?? "list"}
        aria-label={props.label}
        aria-rowcount={props.role === "treegrid" || props.role === "grid" ? count : undefined}
        style={{ height: `${pixels}px` }}
      >
        {mounted.map((index) => (
          <div
            key={rowKey(index)}
            class="rows-place"
            role="presentation"
            style={{
              height: `${height}px`,
              transform: `translateY(${index * height - offset + top.value}px)`,
            }}
          >
            {row(index)}
          </div>
        ))}
      </div>
    </div>
  );
}
