/** Log records of a trace, in place. */

import type { JSX } from "preact";
import type { StoredLog } from "../../frame/answers.ts";
import { count, timeOfDay, utc } from "../../frame/format.ts";
import { withParameters } from "../../frame/location.ts";
import { Rows } from "../../frame/rows.tsx";
import { valueText } from "../../frame/value.ts";
import { logKey, logTime, severityClass, severityName } from "../logs/log_query.ts";
import { spanHref } from "./span_link.ts";

const ROW_HEIGHT = 24;
/** More than these are shown on demand, all in one list. */
const MAX_SHOWN = 50;
const MINUTE_NS = 60_000_000_000n;

/** Those of one span. */
export function SpanLogs(
  { logs, hasMore }: {
    readonly logs: readonly StoredLog[];
    /** Whether the trace has more than were read. */
    readonly hasMore: boolean;
  },
): JSX.Element {
  return (
    <section>
      <h3>
        Log records <span class="muted">{count(logs.length)}</span>
      </h3>
      <ul class="span-logs">
        {logs.slice(0, MAX_SHOWN).map((log, at) => (
          <li key={at}>
            <Line log={log} />
          </li>
        ))}
      </ul>
      {logs.length > MAX_SHOWN && (
        <p class="muted">The first {MAX_SHOWN}; all are among those of the trace.</p>
      )}
      {hasMore && <p class="warn">Not all log records of the trace were read.</p>}
    </section>
  );
}

/** All of a trace, whichever span they are of. */
export function TraceLogs(
  { logs, hasMore }: { readonly logs: readonly StoredLog[]; readonly hasMore: boolean },
): JSX.Element {
  const total = logs.length.toLocaleString("en");
  return (
    <section class="trace-logs">
      <p class={hasMore ? "warn" : "muted"}>
        {hasMore ? `The first ${total} of more` : total}, by time
      </p>
      <Rows
        label="Log records of the trace"
        count={logs.length}
        height={ROW_HEIGHT}
        rowKey={(index) => index}
        row={(index) => (
          <div class="trace-log" role="listitem">
            <Line log={logs[index]!} />
            {logs[index]!.record.spanId !== "" && (
              <a href={spanHref(logs[index]!.record.spanId)}>
                Span
              </a>
            )}
          </div>
        )}
      />
    </section>
  );
}

function Line({ log }: { readonly log: StoredLog }): JSX.Element {
  const at = logTime(log);
  const href = withParameters("/logs", {
    since: String(BigInt(at) - MINUTE_NS),
    until: String(BigInt(at) + MINUTE_NS),
    log: logKey(log),
  });
  return (
    <>
      <a class="data" href={href} title={utc(at)}>{timeOfDay(at)}</a>{" "}
      <strong class={severityClass(log.record)}>{severityName(log.record)}</strong>{" "}
      <span class="trace-message">{valueText(log.record.body) || log.record.eventName}</span>
    </>
  );
}
