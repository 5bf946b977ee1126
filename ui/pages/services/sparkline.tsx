/** Requests over time in a small picture, those with errors in colour. */

import type { JSX } from "preact";
import type { RequestCounts } from "../../frame/answers.ts";
import { count } from "../../frame/format.ts";

/** The requests of a service or operation. */
export type RequestGroup = RequestCounts["groups"][number];

const WIDTH = 120;
const HEIGHT = 18;

/** The picture. */
export function Sparkline(
  { steps, counts, max }: {
    readonly steps: NonNullable<RequestGroup["steps"]>;
    /** What the steps are a part of. */
    readonly counts: RequestCounts;
    /** What the full height stands for. */
    readonly max: number;
  },
): JSX.Element {
  const { range, stepMs = 1 } = counts;
  const from = BigInt(range.since);
  const stepCount = Math.max(1, Number(BigInt(range.until) - from) / (stepMs * 1e6));
  const width = WIDTH / stepCount;
  const bar = (since: string, value: number) => {
    if (value === 0) return "";
    const x = Number(BigInt(since) - from) / (stepMs * 1e6) * width;
    const height = Math.max(1, value / max * HEIGHT);
    const right = Math.min(WIDTH, x + Math.max(1, width - 0.5));
    return `M${x.toFixed(1)} ${HEIGHT}V${(HEIGHT - height).toFixed(1)}H${
      right.toFixed(1)
    }V${HEIGHT}z`;
  };
  return (
    <svg
      class="sparkline"
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`Over time, at most ${count(max)} in a step`}
    >
      <path class="sparkline-all" d={steps.map((one) => bar(one.since, one.requests)).join("")} />
      <path class="sparkline-errors" d={steps.map((one) => bar(one.since, one.errors)).join("")} />
    </svg>
  );
}
