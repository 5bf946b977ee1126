/**
 * What happens in an adapter and is worth a line in a log, in words.
 *
 * @module
 */

import type { DeliveryEvent } from "./delivery_options.ts";
import type { ForwardEvent } from "./forward.ts";
import type { JournalEvent, JournalEventKind } from "./journal.ts";
import type { Counts } from "./sink.ts";

/** A line for a log. */
export interface AdapterEvent {
  /** How bad it is. */
  readonly level: "info" | "warn" | "error";
  /** What happened; the same words whenever the same happens. */
  readonly message: string;
  /** What belongs to it, such as `destination`. No secrets. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What of a journal is no reason to worry. */
const USUAL: ReadonlySet<JournalEventKind> = new Set(["new id", "new cursor", "torn tail"]);
/** What may happen again and again, each time in other words. */
const REPEATED: ReadonlySet<JournalEventKind> = new Set([
  "write failed",
  "upkeep failed",
  "keys lost",
]);

/** An event of the journal. */
export function journalEvent({ kind, message: what, error }: JournalEvent): AdapterEvent {
  const level = USUAL.has(kind) ? "info" : "warn";
  const message = `journal: ${kind}`;
  return REPEATED.has(kind)
    ? { level, message, fields: { what, error } }
    : { level, message: `${message}: ${what}`, fields: { error } };
}

/** An event of the delivery to a destination. */
export function deliveryEvent(destination: string, event: DeliveryEvent): AdapterEvent {
  const line = (
    level: AdapterEvent["level"],
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
  ) => ({ level, message, fields: { destination, ...fields } });
  switch (event.kind) {
    case "failed":
      return line("warn", "cannot deliver, trying again", {
        error: event.message,
        waitMs: Math.round(event.waitMs),
      });
    case "breaker":
      return line(event.state === "OPEN" ? "warn" : "info", `breaker ${event.state}`);
    case "dead":
      return line("error", "refused for good, now dead letters", {
        letters: event.letters,
        records: inWords(event.counts),
        reason: event.reason,
      });
    case "full":
      return line("error", "no room for dead letters, delivering nothing", { what: event.message });
    case "skipped":
      return line("warn", "skipped records to make room in the journal", {
        records: inWords(event.counts),
      });
    case "gap":
      return line("error", "records are missing in the journal", {
        from: event.from,
        bytes: event.to - event.from,
      });
    case "rewound":
      return line("warn", "it has less than it had, delivering again what it lacks", {
        from: event.from,
        bytes: event.from - event.to,
      });
    case "unknown":
      return line(
        "warn",
        "it has nothing of this journal any more (another database?), delivering all that is kept",
        {
          from: event.from,
        },
      );
    case "ahead":
      return line("warn", "it is ahead of the journal, which was restored from an older copy", {
        position: event.position,
        head: event.head,
      });
  }
}

/** An event of a forward. */
export function forwardEvent(destination: string, event: ForwardEvent): AdapterEvent {
  const { signal, message } = event;
  if (event.kind === "note") {
    return { level: "info", message: "it said", fields: { destination, signal, what: message } };
  }
  return {
    level: "warn",
    message: "it rejected records of a request",
    fields: { destination, signal, records: event.count, reason: message },
  };
}

function inWords({ traces, logs, metrics }: Counts): string {
  return `${traces} spans, ${logs} logs, ${metrics} points`;
}
