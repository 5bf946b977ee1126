/** How a metric of the list went, in a small picture; it is asked for once its row is in sight. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { MetricAnswer } from "../../frame/answers.ts";
import { ApiError, get, needsToken } from "../../frame/api.ts";
import { rangeKey, refreshes } from "../../frame/range.ts";
import { Turns } from "../../frame/turns.ts";
import { linesOf } from "./metric_lines.ts";
import { fixedRange, type ListedMetric, pathOf, stepMs } from "./metric_query.ts";
import { kindOf, valueText } from "./metric_value.ts";

const WIDTH = 96;
const HEIGHT = 16;
/** Windows in it. */
const WINDOWS = 32;
/** The quantile of a histogram that is drawn. */
const QUANTILE = 0.95;
/** Rows that are scrolled past are not asked for. */
const SETTLED_MS = 120;
/** A small picture is not worth more of the database's time. */
const LONGEST_MS = 5_000;
const turns = new Turns(2);

interface Drawn {
  readonly path: string;
  readonly about: string;
}

/** The picture; what takes too long or fails has none. */
export function MetricSparkline({ metric }: { readonly metric: ListedMetric }): JSX.Element {
  const place = useRef<HTMLSpanElement>(null);
  const drawn = useSignal<Drawn | undefined>(undefined);
  const key = `${rangeKey()} ${refreshes.value}`;
  useEffect(() => {
    let leaving = new AbortController();
    let isAnswered = false;
    const look = async (signal: AbortSignal) => {
      await settled(signal);
      const answer = await turns.take(() => ask(metric, signal), signal);
      isAnswered = true;
      drawn.value = drawnOf(answer);
    };
    const observer = new IntersectionObserver((entries) => {
      leaving.abort(new Error("no longer in sight"));
      if (entries.at(-1)?.isIntersecting !== true || isAnswered || needsToken.peek()) return;
      const { signal } = leaving = new AbortController();
      look(signal).catch((error) => {
        if (signal.aborted) return;
        // The chart of the metric says what is wrong with it.
        if (!(error instanceof ApiError || error instanceof DOMException)) throw error;
        drawn.value = { path: "", about: "not known" };
      });
    });
    observer.observe(place.current!);
    return () => {
      observer.disconnect();
      leaving.abort(new Error("no longer needed"));
    };
  }, [key]);
  const { path, about } = drawn.value ?? { path: "", about: "" };
  return (
    <span ref={place} class="metric-sparkline" title={about}>
      {about !== "" && (
        <svg width={WIDTH} height={HEIGHT} role="img" aria-label={about}>
          <path d={path} />
        </svg>
      )}
    </span>
  );
}

function settled(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, SETTLED_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

function ask(metric: ListedMetric, signal: AbortSignal): Promise<MetricAnswer> {
  const { name, type, unit, temporality } = metric;
  const parameters = {
    type,
    unit,
    temporality,
    ...fixedRange(),
    stepMs: stepMs(WINDOWS),
    groupBy: [""],
    ...type.endsWith("histogram") && { quantiles: [String(QUANTILE)] },
  };
  return get(pathOf(name), parameters, AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]));
}

/** Its only line, or that of its largest quantile, from zero up. */
function drawnOf(answer: MetricAnswer): Drawn {
  const { lines } = linesOf(answer);
  const line = lines.at(-1);
  const metric = answer.metrics[0];
  if (line === undefined || metric === undefined) return { path: "", about: "no values" };
  const kind = kindOf(metric.metric.type, metric.metric.unit, metric.function);
  const finite = line.values.filter((value) => value !== null && Number.isFinite(value));
  const most = Math.max(0, ...finite as number[]);
  const least = Math.min(0, ...finite as number[]);
  const step = WIDTH / line.values.length;
  const y = (value: number) =>
    HEIGHT - 1 - (most === least ? 0 : (value - least) / (most - least) * (HEIGHT - 2));
  let isBroken = true;
  const path = line.values.map((value, at) => {
    if (value === null || !Number.isFinite(value)) {
      isBroken = true;
      return "";
    }
    const from = `${(at * step).toFixed(1)} ${y(value).toFixed(1)}`;
    // A window by itself is as wide as it is long.
    const text = `${isBroken ? "M" : "L"}${from}H${((at + 1) * step).toFixed(1)}`;
    isBroken = false;
    return text;
  }).join("");
  const quantile = line.label.startsWith("all series p") ? line.label.slice(11) : metric.function;
  const text = (value: number) => valueText(value, kind);
  return { path, about: `${quantile}, latest ${text(line.last)}, highest ${text(line.max)}` };
}
