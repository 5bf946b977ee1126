/** One log record: all of it, what was logged around it, and its trace. */

import type { ComponentChildren, JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { LogPage, StoredLog } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { Attributes } from "../../frame/attributes.tsx";
import { Copy } from "../../frame/copy.tsx";
import { Details } from "../../frame/details.tsx";
import { time, utc } from "../../frame/format.ts";
import { useKeys } from "../../frame/keys.ts";
import { here, parameter, setParameters, withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { attributeFilter, attributeText, plainAttributes, valueText } from "../../frame/value.ts";
import { loadContext } from "./log_context.ts";
import { logKey, logQuery, logTime, severityClass, severityName } from "./log_query.ts";
import { LogRows, messageOf } from "./log_rows.tsx";

/** The panel. */
export function LogDetails(
  { chosen, known, close }: {
    /** The key of the record. */
    readonly chosen: string;
    /** The record, where it is at hand. */
    readonly known: StoredLog | undefined;
    readonly close: () => void;
  },
): JSX.Element {
  const answer = useAnswer<StoredLog | null>(
    chosen,
    async (signal) => known ?? await findLog(chosen, signal) ?? null,
  );
  return (
    <Details title="Log record" close={close}>
      <Panel answer={answer} label="Log record">
        {(log) =>
          log === null
            ? <p>This record is not stored, or not yet.</p>
            : <Record key={logKey(log)} log={log} />}
      </Panel>
    </Details>
  );
}

/** Looks for a record at its time. */
async function findLog(key: string, signal: AbortSignal): Promise<StoredLog | undefined> {
  const [, nanos] = /^(\d+)-/.exec(key) ?? [];
  if (nanos === undefined) return undefined;
  const range = { since: nanos, until: String(BigInt(nanos) + 1n), limit: 1_000 };
  const { logs } = await get<LogPage>("/api/logs", range, signal);
  return logs.find((log) => logKey(log) === key);
}

function Record({ log }: { readonly log: StoredLog }): JSX.Element {
  const { record, resource, scope } = log;
  const at = logTime(log);
  const message = messageOf(log);
  const { traceId, spanId } = record;
  const tracePath = traceId === "" ? "" : withParameters(`/traces/${traceId}`, { span: spanId });
  const search = (of: "record" | "resource") => (key: string, text: string) => {
    const filter = [logQuery.value.filter, attributeFilter(of, key, text)];
    return withParameters("/logs", { filter: filter.filter(Boolean).join(" and ") });
  };
  useKeys([
    {
      key: "c",
      about: "Copy the message",
      act: () => void navigator.clipboard?.writeText(message),
    },
  ], [message]);
  return (
    <div class="log-record">
      <pre class="log-body">{message || <span class="muted">no message</span>}</pre>
      <p class="log-actions">
        {traceId !== "" && <a class="button" href={tracePath}>Open its trace</a>}
        <Copy text={message} label="Copy message" />
        <Copy text={() => JSON.stringify(plainLog(log), null, 2)} label="Copy JSON" />
        <Copy text={() => here.value.href} label="Copy link" />
      </p>
      <dl>
        <Fact name="Time">
          <span title={utc(at)}>{time(at, 9)}</span>
        </Fact>
        {record.observedTimeUnixNano !== "0" && record.observedTimeUnixNano !== at && (
          <Fact name="Observed">
            <span title={utc(record.observedTimeUnixNano)}>
              {time(record.observedTimeUnixNano, 9)}
            </span>
          </Fact>
        )}
        <Fact name="Severity">
          <span class={severityClass(record)}>{severityName(record)}</span> {record.severityNumber}
        </Fact>
        {record.eventName !== "" && <Fact name="Event">{record.eventName}</Fact>}
        <Fact name="Scope">{scope.name === "" ? "—" : `${scope.name} ${scope.version}`}</Fact>
        {traceId !== "" && (
          <Fact name="Trace">
            {traceId} <Copy text={traceId} label="Copy ID" />
          </Fact>
        )}
        {spanId !== "" && <Fact name="Span">{spanId}</Fact>}
      </dl>
      {parameter("context") === ""
        ? (
          <button type="button" onClick={() => setParameters({ context: "1" })}>
            Show what was logged around it
          </button>
        )
        : <Context log={log} />}
      <Attributes
        title="Attributes"
        attributes={record.attributes}
        dropped={record.droppedAttributesCount}
        search={search("record")}
      />
      <Attributes
        title="Resource"
        attributes={resource.attributes}
        dropped={resource.droppedAttributesCount}
        search={search("resource")}
      />
    </div>
  );
}

function Fact(
  { name, children }: { readonly name: string; readonly children: ComponentChildren },
): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="data">{children}</dd>
    </div>
  );
}

function Context({ log }: { readonly log: StoredLog }): JSX.Element {
  const key = logKey(log);
  const answer = useAnswer<StoredLog[]>(key, (signal) => loadContext(log, signal));
  const service = attributeText(log.resource.attributes, "service.name");
  return (
    <section class="log-context">
      <h3>Around it</h3>
      <p class="muted">
        Up to 50 records each way of {service || "the same resource"},{" "}
        {log.scope.name || "the same scope"}, whatever is searched for.
      </p>
      <Panel answer={answer} label="Log records around it">
        {(logs) => (
          <LogRows
            label="Log records around it"
            rows={logs}
            rowKey={(index) => index}
            active={logs.findIndex((one) => logKey(one) === key)}
            chosen={key}
            open={(index) => setParameters({ log: logKey(logs[index]!) })}
          />
        )}
      </Panel>
      <button type="button" class="quiet" onClick={() => setParameters({ context: "" })}>
        Hide
      </button>
    </section>
  );
}

/** A record as one reads it: plain values, not those of OTLP. */
function plainLog({ record, resource, scope }: StoredLog): unknown {
  return {
    ...record,
    body: valueText(record.body),
    attributes: plainAttributes(record.attributes),
    resource: plainAttributes(resource.attributes),
    scope: { name: scope.name, version: scope.version },
  };
}
