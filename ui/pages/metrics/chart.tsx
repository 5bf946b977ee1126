/** Lines over time. All that is known of uPlot is here. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock, day } from "../../frame/format.ts";
import { color, theme } from "../../frame/theme.ts";

/** Pixels left of the lines, for the values of the axis. */
export const AXIS_PIXELS = 72;
const FONT = "11px system-ui, sans-serif";
const DAY_S = 86_400;
/** Points that are less far apart are joined: programs send theirs every minute. */
const JOINED_S = 150;
const BINARY_STEPS = Array.from({ length: 1_024 }, (_, n) => 2 ** (n - 64));

/** A line. */
export interface ChartLine {
  readonly label: string;
  /** A variable of the palette: `--c3`. */
  readonly color: string;
  /** Told from others of that colour by its dashes. */
  readonly dash: readonly number[];
  /** One for each time; null where there is none. */
  readonly values: readonly (number | null)[];
}

/** What is marked with a dot that leads somewhere. */
export interface ChartMark {
  /** In seconds since 1970. */
  readonly time: number;
  /** Undefined stands at the foot. */
  readonly value: number | undefined;
  readonly href: string;
  readonly about: string;
}

/** Properties of {@linkcode Chart}. */
export interface ChartProps {
  readonly label: string;
  /** In seconds since 1970. */
  readonly times: readonly number[];
  readonly since: number;
  readonly until: number;
  readonly lines: readonly ChartLine[];
  readonly marks: readonly ChartMark[];
  readonly axisText: (value: number) => string;
  /** Whether powers of two are the round values of the axis. */
  readonly isBinary: boolean;
  /** Pixels. */
  readonly height: number;
  readonly zoom: (since: number, until: number) => void;
  /** Gets which time the pointer is at. */
  readonly point: (index: number | undefined) => void;
}

interface Placed extends ChartMark {
  readonly x: number;
  readonly y: number;
}

/** The chart. */
export function Chart(props: ChartProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const placed = useSignal<readonly Placed[]>([]);
  const { times, lines, marks, since, until, height } = props;
  const chosen = theme.value;
  const plot = useRef<uPlot | undefined>(undefined);
  // Marks come later than lines: who drags over the chart then is not disturbed.
  const latestMarks = useRef(marks);
  latestMarks.current = marks;
  useLayoutEffect(() => {
    const element = place.current!;
    const made = new uPlot(
      optionsOf(props, element.clientWidth, (plot) => {
        placed.value = placesOf(plot, latestMarks.current);
      }),
      [times as number[], ...lines.map(({ values }) => values.map(finite))],
      element,
    );
    plot.current = made;
    return () => made.destroy();
  }, [times, lines, since, until, height, chosen]);
  useLayoutEffect(() => {
    if (plot.current !== undefined) placed.value = placesOf(plot.current, marks);
  }, [marks]);
  useLayoutEffect(() => {
    const element = place.current!;
    const observer = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [height]);
  return (
    <div class="chart" role="group" aria-label={props.label}>
      <div ref={place} aria-hidden="true" style={{ height: `${height}px` }} />
      {placed.value.map(({ x, y, href, about }, at) => (
        <a
          key={`${href} ${at}`}
          class="chart-mark"
          href={href}
          title={about}
          aria-label={about}
          style={{ left: `${x}px`, top: `${y}px` }}
        />
      ))}
    </div>
  );
}

/** No axis has a place for what is not finite. */
function finite(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

function optionsOf(
  { lines, since, until, height, axisText, isBinary, zoom, point }: ChartProps,
  width: number,
  drawn: (plot: uPlot) => void,
): uPlot.Options {
  const axis = {
    stroke: color("--muted"),
    font: FONT,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line"), width: 1 },
  };
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: true, range: () => [since, until] },
      y: { range: (_, low, high) => rangeOfValues(low, high) },
    },
    axes: [
      { ...axis, values: (_, splits, __, ___, step) => splits.map((at) => timeText(at, step)) },
      {
        ...axis,
        size: AXIS_PIXELS,
        values: (_, splits) => splits.map(axisText),
        ...isBinary && { incrs: BINARY_STEPS },
      },
    ],
    series: [
      {},
      ...lines.map(({ color: name, dash, label }) => ({
        label,
        stroke: color(name),
        width: 1.5,
        dash: [...dash],
        points: { size: 4, fill: color(name), filter: alone },
        gaps: (plot: uPlot, _: number, __: number, ___: number, gaps: uPlot.Series.Gaps) => {
          const joined = JOINED_S * plot.bbox.width / (until - since);
          return gaps.filter(([from, to]) => to - from > joined);
        },
      })),
    ],
    cursor: { y: false, drag: { x: true, y: false, setScale: false } },
    hooks: {
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width > 0) zoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
      }],
      setCursor: [(plot) => point(plot.cursor.idx ?? undefined)],
      draw: [drawn],
    },
  };
}

/** Which values are dots where those have no room: the ones that are in no line. */
function alone(plot: uPlot, line: number, areAllShown: boolean): number[] | null {
  if (areAllShown) return null;
  const [times, values] = [plot.data[0], plot.data[line]!];
  const known = [...values.keys()].filter((at) => typeof values[at] === "number");
  const areJoined = (at?: number, next?: number) =>
    at !== undefined && next !== undefined &&
    (next - at === 1 || times[next]! - times[at]! <= JOINED_S);
  return known.filter((at, n) => !areJoined(known[n - 1], at) && !areJoined(at, known[n + 1]));
}

/** From zero, unless there are negative values; never empty. */
function rangeOfValues(low: number | null, high: number | null): [number, number] {
  const most = Math.max(0, high ?? 0);
  const least = Math.min(0, low ?? 0);
  if (most === least) return [0, 1];
  const room = (most - least) * 0.05;
  return [least < 0 ? least - room : 0, most + room];
}

function timeText(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  if (step >= DAY_S) return day(date).slice(5);
  const text = clock(date).slice(0, step < 60 ? 8 : 5);
  return text === "00:00" ? day(date).slice(5) : text;
}

/** Where the marks are, within the chart. Those above its top or below its foot stand at the edge. */
function placesOf(plot: uPlot, marks: readonly ChartMark[]): Placed[] {
  const { offsetLeft, offsetTop, clientHeight, clientWidth } = plot.over;
  return marks.flatMap((mark) => {
    const x = plot.valToPos(mark.time, "x");
    if (!(x >= 0 && x <= clientWidth)) return [];
    const y = mark.value === undefined ? clientHeight : plot.valToPos(mark.value, "y");
    const within = Math.max(0, Math.min(clientHeight, y));
    return [{ ...mark, x: offsetLeft + x, y: offsetTop + within }];
  });
}
