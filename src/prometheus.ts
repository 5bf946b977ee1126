/**
 * Numbers about the adapter in the text format of Prometheus, version 0.0.4.
 *
 * Counters of records since the journal began go on after a restart. None falls, also when the process
 * is killed: that only forgets what was rejected or sent again since the last sample. All others begin
 * at 0 with the process.
 *
 * What became of records at a database is told once that was asked, so that it does not begin lower than
 * it ended. It goes back, as at a reset, when a database was restored from an older copy and gets records
 * again.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 *
 * @module
 */

import type { AdapterStats, DestinationStats } from "./adapter_stats.ts";
import type { CircuitState } from "./breaker.ts";
import type { Counts } from "./sink.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number | bigint];

/** What has one name. */
interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly Sample[];
}

const SIGNALS = ["traces", "logs", "metrics"] as const;
const BREAKER_STATES: readonly CircuitState[] = ["CLOSED", "HALF_OPEN", "OPEN"];

/**
 * Writes the numbers.
 *
 * @param stats As the adapter tells them.
 * @returns Lines, each with a line break at its end.
 */
export function prometheusText(stats: AdapterStats): string {
  const families = [
    ...recordFamilies(stats),
    ...journalFamilies(stats),
    ...tailFamilies(stats),
    ...deadLetterFamilies(stats),
    ...destinationFamilies(stats.destinations),
  ];
  // A name without samples says nothing.
  return families.filter(({ samples }) => samples.length > 0).map(textOf).join("");
}

function recordFamilies({ received, rejected, duplicates, accepted }: AdapterStats): Family[] {
  const family = (name: string, help: string, counts: Counts) =>
    counter(`${name}_records`, help, bySignal(counts));
  return [
    family("received", "Records of answered requests since the journal began.", received),
    family("rejected", "Invalid records since the journal began.", rejected),
    family("duplicate", "Valid records of requests sent again since it began.", duplicates),
    family("accepted", "Valid records in the journal since it began.", accepted),
  ];
}

function journalFamilies({ journal }: AdapterStats): Family[] {
  const total = (name: string, help: string, value: number | bigint) =>
    counter(`journal_${name}`, help, [[{}, value]]);
  const now = (name: string, help: string, value: number) =>
    gauge(`journal_${name}`, help, [[{}, value]]);
  const { id, kind } = journal;
  return [
    gauge("journal_info", "Which journal it is.", [[{ id, kind }, 1]]),
    now("bytes", "Bytes of the segments.", journal.bytes),
    now("max_bytes", "The bound of the bytes of the segments.", journal.maxBytes),
    now("queued_bytes", "Bytes that wait or are being written.", journal.queuedBytes),
    now("segments", "Segments.", journal.segments),
    gauge(
      "journal_free_bytes",
      "Bytes free on the disk.",
      Number.isFinite(journal.freeBytes) ? [[{}, journal.freeBytes]] : [],
    ),
    now("waiting_requests", "Requests that wait for space.", journal.waiting),
    now("keys", "Requests of the last minutes that are known.", journal.keys),
    total("appended_requests", "Requests appended.", journal.appended),
    total("refused_requests", "Requests refused for want of space or a disk.", journal.refused),
    total("keys_evicted", "Keys forgotten before their time.", journal.keysEvictedEarly),
    total("damaged_places", "Places that could not be read.", journal.damaged),
    total("damaged_bytes", "Bytes in places that could not be read.", journal.damagedBytes),
    total("gaps", "Places where acknowledged bytes are missing.", journal.gaps),
    total("gap_bytes", "Acknowledged bytes that are missing.", journal.gapBytes),
    total("failed_writes", "Writes and syncs that failed.", journal.failedWrites),
  ];
}

function tailFamilies({ tail: { followers, skipped, dropped } }: AdapterStats): Family[] {
  return [
    gauge("log_followers", "Who follows the logs.", [[{}, followers]]),
    counter("log_tail_skipped_records", "Records that no follower got.", [[{}, skipped]]),
    counter("log_tail_dropped_records", "Records that a follower did not read.", [[{}, dropped]]),
  ];
}

function deadLetterFamilies({ deadLetters }: AdapterStats): Family[] {
  const { letters, bytes, maxBytes, written, repeated, dropped } = deadLetters;
  return [
    gauge("dead_letters", "Dead letters there are.", [[{}, letters]]),
    gauge("dead_letters_bytes", "Bytes of the dead letters.", [[{}, bytes]]),
    gauge("dead_letters_max_bytes", "The bound of the bytes of dead letters.", [[{}, maxBytes]]),
    counter("dead_letters_written", "Dead letters written.", [[{}, written]]),
    counter("dead_letters_repeated", "Dead letters found written already.", [[{}, repeated]]),
    counter("dead_letters_dropped", "Dead letters dropped.", [[{}, dropped]]),
  ];
}

function destinationFamilies(destinations: readonly DestinationStats[]): Family[] {
  const of = (samples: (destination: DestinationStats) => readonly Sample[]) =>
    destinations.flatMap((destination) =>
      samples(destination).map(([labels, value]): Sample => [
        { destination: destination.name, ...labels },
        value,
      ])
    );
  const one = (value: (destination: DestinationStats) => number) =>
    of((destination) => [[{}, value(destination)]]);
  const records = (counts: (destination: DestinationStats) => Counts) =>
    of((destination) => bySignal(counts(destination)));
  const known = (counts: (destination: DestinationStats) => Counts) =>
    of((destination) => destination.located ? bySignal(counts(destination)) : []);
  const total = (name: string, help: string, samples: readonly Sample[]) =>
    counter(`destination_${name}`, help, samples);
  const now = (name: string, help: string, samples: readonly Sample[]) =>
    gauge(`destination_${name}`, help, samples);
  return [
    now("info", "Which destination it is.", of(({ kind, url }) => [[{ kind, url }, 1]])),
    total("accepted_records", "Records it was to get.", records((d) => d.accepted)),
    total("delivered_records", "Records it has.", known((d) => d.delivered)),
    now("pending_records", "Records yet to be delivered.", records((d) => d.pending)),
    total("dead_records", "Records it would never take.", known((d) => d.dead)),
    total("skipped_records", "Records given up.", known((d) => d.skipped)),
    total(
      "rejected_records",
      "Records it said it rejected of requests it took.",
      records((d) => d.rejectedThere),
    ),
    now("lag_bytes", "Bytes of the journal yet to be delivered.", one((d) => d.lagBytes)),
    now("lag_seconds", "Age of the oldest record not delivered.", one((d) => d.lagSeconds)),
    total("gap_bytes", "Bytes gone before they were delivered.", one((d) => d.gapBytes)),
    total("attempts", "Attempts to deliver, or to ask where to go on.", one((d) => d.attempts)),
    total("failures", "Rounds of attempts that failed.", one((d) => d.failures)),
    now("next_attempt_seconds", "Until it tries again.", one((d) => d.nextAttemptMs / 1000)),
    now("paused", "1 when it was told to pause.", one((d) => Number(d.paused))),
    now(
      "breaker_state",
      "1 for the state of the breaker.",
      of((d) =>
        BREAKER_STATES.map((state) => [
          { state: state.toLowerCase() },
          Number(d.breaker === state),
        ])
      ),
    ),
  ];
}

function bySignal(counts: Counts): Sample[] {
  return SIGNALS.map((signal) => [{ signal }, counts[signal]]);
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `otel_storage_${name}_total`, type: "counter", help, samples };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `otel_storage_${name}`, type: "gauge", help, samples };
}

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.map(([labels, value]) => `${name}${labelsOf(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelsOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (found) => found === "\n" ? "\\n" : `\\${found}`);
}
