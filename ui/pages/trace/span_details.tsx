/** All that is known of one span, and the log records in it. */

import type { JSX } from "preact";
import type { StoredLog, TraceTree } from "../../frame/answers.ts";
import { Attributes } from "../../frame/attributes.tsx";
import { Copy } from "../../frame/copy.tsx";
import { Details } from "../../frame/details.tsx";
import { duration, time, utc } from "../../frame/format.ts";
import { withParameters } from "../../frame/location.ts";
import { attributeFilter, plainAttributes, quoted } from "../../frame/value.ts";
import { KINDS } from "./kinds.ts";
import { hoursAround, Similar } from "./similar.tsx";
import { SpanLogs } from "./span_logs.tsx";
import { spanHref } from "./span_link.ts";
import type { WaterfallSpan } from "./span_tree.ts";
import { clockWords, rootWords } from "./words.ts";

/** The panel. */
export function SpanDetails(
  { tree, of, clockNs, isAdjusted, logs, close }: {
    readonly tree: TraceTree;
    readonly of: WaterfallSpan;
    /** By how much its clock differs; 0 when that need not be said. */
    readonly clockNs: number;
    readonly isAdjusted: boolean;
    readonly logs: readonly StoredLog[];
    readonly close: () => void;
  },
): JSX.Element {
  const { record, resource, scope, service } = of.span;
  const { events, links, status } = record;
  const more = (query: string) =>
    withParameters("/traces", { query, ...hoursAround(record.startTimeUnixNano) });
  const { traceId } = tree;
  return (
    <Details title={record.name || "no name"} close={close}>
      <p>
        <strong>{service || "no service"}</strong> · {KINDS[record.kind] ?? record.kind} ·{" "}
        {of.isRunning ? "running" : (
          <>
            {duration(of.endNs - of.startNs)}{" "}
            <span class="muted num">{(of.endNs - of.startNs).toLocaleString("en")} ns</span>
          </>
        )}
        {of.isError && <span class="error">· ● Error {status?.message}</span>}
      </p>
      <p class="data" title={utc(record.startTimeUnixNano)}>
        {of.isUnknown
          ? "It did not say when it began."
          : `${time(record.startTimeUnixNano, 9)}, ${duration(of.startNs)} after the start`}
      </p>
      {of.mark && <p class="notice">{rootWords(of, tree.hasMoreSpans)}</p>}
      {clockNs !== 0
        ? <p class="notice">{clockWords(clockNs, isAdjusted)}</p>
        : of.movedNs !== 0 && (
          <p class="notice">It is moved by {duration(of.movedNs)}, with the span above it.</p>
        )}
      <p class="trace-copies">
        <span class="data">{record.spanId}</span>
        <Copy text={record.spanId} label="Copy ID" />
        <Copy text={() => JSON.stringify(plainSpan(of), null, 2)} label="Copy JSON" />
        <Copy text={() => linkTo(traceId, of)} label="Copy link" />
        <Copy text={() => summaryOf(traceId, of)} label="Copy summary" />
      </p>
      <Similar of={of} />
      <Attributes
        title="Attributes"
        attributes={record.attributes}
        dropped={record.droppedAttributesCount}
        search={(key, text) => more(attributeFilter("record", key, text))}
      />
      {events.length > 0 && (
        <h3>
          Events <span class="muted">{events.length}</span>
        </h3>
      )}
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
      <Dropped count={record.droppedEventsCount} what="events" />
      {links.map((link, at) => (
        <section key={`link ${at}`}>
          <p>
            <a
              href={link.traceId === traceId
                ? spanHref(link.spanId)
                : withParameters(`/traces/${link.traceId}`, { span: link.spanId })}
            >
              {link.traceId === traceId
                ? `Linked span ${link.spanId}`
                : `Linked trace ${link.traceId}`}
            </a>
          </p>
          <Attributes title="Attributes of the link" attributes={link.attributes} />
        </section>
      ))}
      <Dropped count={record.droppedLinksCount} what="links" />
      <SpanLogs logs={logs} hasMore={tree.hasMoreLogs} />
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

function Dropped({ count, what }: { readonly count: number; readonly what: string }) {
  if (count === 0) return null;
  return <p class="muted">{count} more {what} were dropped by the sender.</p>;
}

/** Where a span is found again, whatever else is shown now. */
function linkTo(traceId: string, { key }: WaterfallSpan): string {
  return `${location.origin}/traces/${traceId}?span=${encodeURIComponent(key)}`;
}

/** A span in a line. */
function summaryOf(traceId: string, of: WaterfallSpan): string {
  const { record, service } = of.span;
  const status = of.isError ? ` Error ${record.status?.message ?? ""}`.trimEnd() : "";
  const took = of.isRunning ? "running" : duration(of.endNs - of.startNs);
  return `${utc(record.startTimeUnixNano)} ${service || "no service"} ${
    record.name || "no name"
  } ${took}${status} trace=${traceId} span=${record.spanId}`;
}

/** A span as one reads it: plain values, not those of OTLP. */
function plainSpan({ span: { record, resource, scope } }: WaterfallSpan): unknown {
  const withPlain = <T extends { attributes: typeof record.attributes }>(of: T) => ({
    ...of,
    attributes: plainAttributes(of.attributes),
  });
  return {
    ...withPlain(record),
    events: record.events.map(withPlain),
    links: record.links.map(withPlain),
    resource: plainAttributes(resource.attributes),
    scope: {
      name: scope.name,
      version: scope.version,
      attributes: plainAttributes(scope.attributes),
    },
  };
}
