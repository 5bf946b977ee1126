/** Spans like one: of its service, operation and status, an hour before and after it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { TracePage } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { duration } from "../../frame/format.ts";
import { withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import type { WaterfallSpan } from "./span_tree.ts";

/** The most traces that are counted. */
const LIMIT = 1_000;
const STATUS = ["UNSET", "OK", "ERROR"];

/** Where they are, and how long this one took among them. */
export function Similar({ of }: { readonly of: WaterfallSpan }): JSX.Element {
  const isAsked = useSignal(false);
  const { record, service } = of.span;
  const status = STATUS[record.status?.code ?? 0] ?? "UNSET";
  const href = withParameters("/traces", {
    service,
    operation: record.name,
    ...of.isError ? { errors: "1" } : { query: `status = ${status}` },
    sort: "slowest",
    ...hoursAround(record.startTimeUnixNano),
  });
  return (
    <div class="span-similar">
      <a class="button" href={href}>Find similar</a>
      {!of.isRunning && !isAsked.value && (
        <button
          type="button"
          onClick={() => isAsked.value = true}
        >
          Rank its duration
        </button>
      )}
      {isAsked.value && <Rank of={of} status={status} />}
    </div>
  );
}

function Rank(
  { of, status }: { readonly of: WaterfallSpan; readonly status: string },
): JSX.Element {
  const { record, service } = of.span;
  const took = BigInt(record.endTimeUnixNano) - BigInt(record.startTimeUnixNano);
  const answer = useAnswer(of.key, async (signal) => {
    const alike = {
      service,
      operation: record.name,
      status,
      ...hoursAround(record.startTimeUnixNano),
      limit: LIMIT,
    };
    const [all, longer] = await Promise.all([
      get<TracePage>("/api/traces", alike, signal),
      get<TracePage>("/api/traces", { ...alike, minDurationNs: String(took + 1n) }, signal),
    ]);
    return { all: counted(all), longer: counted(longer) };
  });
  return (
    <Panel answer={answer} label="Rank of its duration" advice="There are many traces like it.">
      {({ all, longer }) => (
        <p>
          {all} traces within an hour have such a span; in {longer} of them one took longer than
          {" "}
          {duration(Number(took))}.
        </p>
      )}
    </Panel>
  );
}

function counted({ traces, cursor }: TracePage): string {
  return `${cursor === undefined ? "" : "≥"}${traces.length.toLocaleString("en")}`;
}

/** A range in which spans like one are looked for: an hour before and after it. */
export function hoursAround(nanos: string): { readonly since: string; readonly until: string } {
  const hourNs = 3_600_000_000_000n;
  return { since: String(BigInt(nanos) - hourNs), until: String(BigInt(nanos) + hourNs) };
}
