/** All that is known of one span, and the log records in it. */

import type { JSX } from "preact";
import type { StoredLog } from "../../frame/answers.ts";
import { Attributes } from "../../frame/attributes.tsx";
import { Copy } from "../../frame/copy.tsx";
import { Details } from "../../frame/details.tsx";
import { duration, time, utc } from "../../frame/format.ts";
import { withParameters } from "../../frame/location.ts";
import { attributeFilter, quoted, valueText } from "../../frame/value.ts";
import type { WaterfallSpan } from "./span_tree.ts";

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];

/** The panel. */
export function SpanDetails(
  { of, logs, close }: {
    readonly of: WaterfallSpan;
    readonly logs: readonly StoredLog[];
    readonly close: () => void;
  },
): JSX.Element {
  const { record, resource, scope, service } = of.span;
  const { events, links, status } = record;
  const more = (query: string) =>
    withParameters("/traces", { query, ...hoursAround(record.startTimeUnixNano) });
  return (
    <Details title={record.name || "no name"} close={close}>
      <p>
        <strong>{service || "no service"}</strong> · {KINDS[record.kind] ?? record.kind} ·{" "}
        <span title={`${of.endNs - of.startNs} ns`}>
          {of.isRunning ? "running" : duration(of.endNs - of.startNs)}
        </span>
        {of.isError && <span class="error">· Error {status?.message}</span>}
      </p>
      <p class="data" title={utc(record.startTimeUnixNano)}>
        {time(record.startTimeUnixNano, 9)}, {duration(of.startNs)} after the start
      </p>
      <p>
        <span class="data">{record.spanId}</span> <Copy text={record.spanId} label="Copy id" />
        <Copy text={() => JSON.stringify(of.span, null, 2)} label="Copy JSON" />
      </p>
      <p>
        <a
          class="button"
          href={withParameters("/traces", {
            service,
            operation: record.name,
            errors: of.isError ? "1" : "",
            ...hoursAround(record.startTimeUnixNano),
          })}
        >
          Find more like this
        </a>
      </p>
      <Attributes
        title="Attributes"
        attributes={record.attributes}
        dropped={record.droppedAttributesCount}
        search={(key, text) => more(attributeFilter("record", key, text))}
      />
      <h3>
        Log records <span class="muted">{logs.length}</span>
      </h3>
      <ul class="span-logs">
        {logs.map(({ record: log }, at) => (
          <li key={at}>
            <span class="data muted">{time(log.timeUnixNano).slice(11)}</span>{" "}
            <strong>{log.severityText}</strong> {valueText(log.body) || log.eventName}
          </li>
        ))}
      </ul>
      {events.map((event, at) => (
        <Attributes
          key={`event ${at}`}
          title={`Event ${event.name}, ${
            duration(Number(BigInt(event.timeUnixNano) - BigInt(record.startTimeUnixNano)))
          } in:`}
          attributes={event.attributes}
          dropped={event.droppedAttributesCount}
        />
      ))}
      {links.map((link, at) => (
        <section key={`link ${at}`}>
          <p>
            <a href={withParameters(`/traces/${link.traceId}`, { span: link.spanId })}>
              Linked trace {link.traceId}
            </a>
          </p>
          <Attributes title="Attributes of the link" attributes={link.attributes} />
        </section>
      ))}
      <Attributes
        title="Resource"
        attributes={resource.attributes}
        dropped={resource.droppedAttributesCount}
        search={(key, text) =>
          key === "service.name"
            ? more(`service = ${quoted(text)}`)
            : more(attributeFilter("resource", key, text))}
      />
      <Attributes title={`Scope ${scope.name} ${scope.version}`} attributes={scope.attributes} />
    </Details>
  );
}

/** A range in which spans like one are looked for: an hour before and after it. */
function hoursAround(nanos: string): { readonly since: string; readonly until: string } {
  const hourNs = 3_600_000_000_000n;
  return { since: String(BigInt(nanos) - hourNs), until: String(BigInt(nanos) + hourNs) };
}
