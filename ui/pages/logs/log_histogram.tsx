/** How many log records there are over the whole range; dragging over it zooms. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback, useRef } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { LogCounts } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { AsTable } from "../../frame/as_table.tsx";
import { Brush } from "../../frame/brush.tsx";
import { Drawing } from "../../frame/drawing.tsx";
import { count, time, utc } from "../../frame/format.ts";
import { Panel } from "../../frame/panel.tsx";
import { range, rangeKey, rangeParameters } from "../../frame/range.ts";
import { useRepeat } from "../../frame/repeat.ts";
import { color } from "../../frame/theme.ts";
import { useZoomKey, zoomTo } from "../../frame/zoom.ts";
import { ZoomOut } from "../../frame/zoom_out.tsx";
import { logQuery, logQueryKey } from "./log_query.ts";

const HEIGHT = 64;
/** How often it is counted again while records are shown as they arrive. */
const FOLLOW_MS = 5_000;
/** Counting takes no more than such a part of the time. */
const WAIT_FACTOR = 20;

/** Counts of what the address asks for; `told` gets how many there are in all. */
export function LogHistogram(
  { told, isFollowing }: {
    readonly told: (total: number) => void;
    /** Whether records are shown as they arrive, and are not paused. */
    readonly isFollowing: boolean;
  },
): JSX.Element {
  const mayAskMs = useRef(0);
  const parameters = { ...logQuery.value, ...rangeParameters() };
  const answer = useAnswer<LogCounts>(`${logQueryKey.value} ${rangeKey()}`, async (signal) => {
    const askedMs = performance.now();
    const counts = await get<LogCounts>("/api/log-counts", parameters, signal);
    const nowMs = performance.now();
    mayAskMs.current = nowMs + (nowMs - askedMs) * WAIT_FACTOR;
    told(stepsOf(counts).reduce((sum, step) => sum + step.count, 0));
    return counts;
  });
  useRepeat(FOLLOW_MS, () => {
    // A range that has ended gets no more.
    if (!isFollowing || range.peek().until !== "") return;
    if (performance.now() >= mayAskMs.current) answer.askAgain();
  });
  useZoomKey();
  return (
    <Panel answer={answer} label="Log records over time" class="log-histogram">
      {(counts) => <Bars counts={counts} />}
    </Panel>
  );
}

interface Step {
  readonly since: string;
  readonly until: string;
  readonly count: number;
}

function stepsOf({ steps, stepMs, range: { until } }: LogCounts): Step[] {
  const stepNs = BigInt(stepMs) * 1_000_000n;
  return steps.map(({ since, counts }) => {
    const end = BigInt(since) + stepNs;
    return {
      since,
      until: String(end < BigInt(until) ? end : BigInt(until)),
      count: Object.values(counts).reduce((sum, one) => sum + (one ?? 0), 0),
    };
  });
}

function Bars({ counts }: { readonly counts: LogCounts }): JSX.Element {
  const steps = stepsOf(counts);
  const since = BigInt(counts.range.since);
  const lengthNs = Number(BigInt(counts.range.until) - since);
  const most = Math.max(0, ...steps.map((step) => step.count));
  const pointed = useSignal<Step | undefined>(undefined);
  const part = (nanos: string) => Number(BigInt(nanos) - since) / lengthNs;

  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      context.fillStyle = color("--line");
      context.fillRect(0, height - 1, width, 1);
      context.fillStyle = color("--accent");
      for (const step of steps) {
        if (step.count === 0) continue;
        const from = Math.round(part(step.since) * width);
        const to = Math.round(part(step.until) * width);
        const high = Math.max(2, Math.round(step.count / most * (height - 2)));
        context.fillRect(from, height - 1 - high, Math.max(1, to - from - 1), high);
      }
    },
    [counts],
  );
  const nanosAt = (at: number) => String(since + BigInt(Math.round(at * lengthNs)));
  const step = pointed.value;
  return (
    <>
      <Brush
        choose={({ left, right }) => zoomTo({ since: nanosAt(left), until: nanosAt(right) })}
        point={(x) => {
          pointed.value = x === undefined
            ? undefined
            : steps.findLast(({ since }) => part(since) <= x);
        }}
      >
        <Drawing
          draw={draw}
          height={HEIGHT}
          label={`At most ${count(most)} log records in ${counts.stepMs / 1000} s`}
        />
      </Brush>
      <p class="axis muted">
        <span title={utc(counts.range.since)}>{time(counts.range.since).slice(0, 19)}</span>
        <span class="data">
          {step === undefined
            ? `highest ${count(most)}`
            : `${time(step.since).slice(11, 19)}: ${step.count.toLocaleString("en")}`}
        </span>
        <span title={utc(counts.range.until)}>{time(counts.range.until).slice(0, 19)}</span>
      </p>
      <div class="beside-zoom">
        <AsTable label="Counts">
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">Records</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {steps.filter(({ count }) => count > 0).map(({ since, until, count }) => (
                <tr key={since}>
                  <td class="data" title={utc(since)}>{time(since)}</td>
                  <td class="num">{count.toLocaleString("en")}</td>
                  <td>
                    <button
                      type="button"
                      class="quiet"
                      onClick={() =>
                        zoomTo({ since, until })}
                    >
                      Zoom
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </AsTable>
        <ZoomOut />
      </div>
    </>
  );
}
