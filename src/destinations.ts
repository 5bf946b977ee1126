/**
 * The destinations of a journal: its database and its forwards, each delivered to at its own pace.
 *
 * @module
 */

import { deliveryEvent, forwardEvent } from "./adapter_events.ts";
import type { AdapterSettings } from "./adapter_options.ts";
import type { DestinationStats } from "./adapter_stats.ts";
import type { Graveyard } from "./dead_letters.ts";
import { Delivery, type DeliveryEvent, type DeliveryOptions } from "./delivery.ts";
import { ForwardSink } from "./forward.ts";
import type { Cursor, Journal } from "./journal.ts";
import type { PostgresStore } from "./postgres/store.ts";
import { noCounts, type Sink } from "./sink.ts";

/** The name of the database among the destinations. */
export const DATABASE = "postgres";

/**
 * Bytes of the journal that are stored at a time; three such slices are under way. The server spends a
 * millisecond or two on each, whatever is in it.
 */
const STORE_BYTES = 4 << 20;
/** How long a request to a forward may take at most, in ms: what OTLP exporters wait for an answer. */
const REQUEST_MS = 10_000;
/** How long a call of a sink may go on once all is to end, in ms: closing has waited before. */
const CLOSE_GRACE_MS = 500;

/** What destinations are made of. */
export interface DestinationParts {
  readonly journal: Journal;
  readonly letters: Graveyard;
  readonly store: PostgresStore;
  readonly settings: AdapterSettings;
}

/** One destination. */
interface Destination {
  readonly kind: DestinationStats["kind"];
  readonly url: string;
  readonly delivery: Delivery;
  /** Undefined for the database. */
  readonly forward: ForwardSink | undefined;
  readonly overflow: "refuse" | "skip";
  /** Called when a delivery fails. */
  onFailure: () => void;
}

/** All destinations of one journal. */
export class Destinations implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #all: readonly Destination[];
  #skipping = false;

  /**
   * Makes them, and gives each its cursor. To be done before the journal takes requests.
   *
   * @throws {RangeError} The URL or a header of a forward is wrong; the message names it.
   * @throws What the system says when a cursor cannot be written.
   */
  static async open(parts: DestinationParts): Promise<Destinations> {
    const { journal, store, settings } = parts;
    const { maxRetries: maxAttempts, attemptTimeoutMs, forwards } = settings;
    // Checked before the journal is told of any of them.
    const sinks = forwards.map(({ name, url, headers, gzip, own }) =>
      new ForwardSink({
        url,
        headers,
        gzip,
        timeoutMs: Math.min(settings.attemptTimeoutMs, REQUEST_MS),
        ...own && { own },
        onEvent: (event) => settings.onEvent(forwardEvent(name, event)),
      })
    );
    const secure = () => store.secure();
    const position = await journal.cursor(DATABASE, "external", { secure });
    const options = { maxAttempts, attemptTimeoutMs, maxBatchBytes: STORE_BYTES };
    const all = [destination(parts, position, store, options, {
      kind: "postgres",
      url: placeOf(settings),
      forward: undefined,
      overflow: "refuse",
    })];
    for (const [n, { name, from, overflow }] of forwards.entries()) {
      const sink = sinks[n]!;
      const cursor = await journal.cursor(name, from);
      const about = { kind: "otlp", url: sink.name, forward: sink, overflow } as const;
      all.push(destination(parts, cursor, sink, {}, about));
    }
    return new Destinations(journal, all);
  }

  private constructor(journal: Journal, all: readonly Destination[]) {
    this.#journal = journal;
    this.#all = all;
  }

  /** The delivery to the database. */
  get database(): Delivery {
    return this.#all[0]!.delivery;
  }

  /** The forward of a name, if there is one. */
  forward(name: string): ForwardSink | undefined {
    return this.#all.find(({ delivery }) => delivery.stats.name === name)?.forward;
  }

  /** Numbers of each. */
  get stats(): DestinationStats[] {
    return this.#all.map(({ kind, url, delivery, forward }) => ({
      ...delivery.stats,
      kind,
      url,
      rejectedThere: forward?.stats.rejected ?? noCounts(),
    }));
  }

  /** Begins to deliver to all of them. */
  start(): void {
    for (const { delivery } of this.#all) delivery.start();
  }

  /**
   * For a full journal: has those forwards that may skip give up the older half of it, as far as
   * nobody else needs it. Returns at once; one call at a time does something.
   */
  makeRoom(): void {
    if (this.#skipping) return;
    const { head, oldest } = this.#journal;
    const middle = oldest + (head - oldest) / 2n;
    const needed = this.#all.filter(({ overflow }) => overflow === "refuse")
      .map(({ delivery }) => delivery.stats.position);
    const to = needed.reduce((a, b) => a < b ? a : b, middle);
    const behind = this.#all.filter(({ overflow, delivery }) =>
      overflow === "skip" && delivery.stats.position < to
    );
    if (behind.length === 0) return;
    this.#skipping = true;
    // One that is closed meanwhile skips nothing.
    void Promise.allSettled(behind.map(({ delivery }) => delivery.skipTo(to)))
      .finally(() => this.#skipping = false);
  }

  /**
   * Waits until all that is in the journal now is delivered, but for destinations that fail.
   *
   * @param signal Ends the wait.
   * @param options `patient`: waits for those that fail, too.
   */
  async settle(signal: AbortSignal, { patient = false } = {}): Promise<void> {
    await Promise.all(this.#all.map(async (one) => {
      const { state, breaker, paused } = one.delivery.stats;
      const fails = breaker !== "CLOSED" || paused || state === "waiting" || state === "full";
      if (fails && !patient) return;
      const failed = new AbortController();
      if (!patient) one.onFailure = () => failed.abort();
      // What is not delivered stays in the journal.
      await one.delivery.drain(AbortSignal.any([signal, failed.signal])).catch(() => {});
    }));
  }

  /** Ends all deliveries. What is not delivered stays in the journal. Idempotent, bounded. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map(({ delivery }) => delivery.close()));
  }

  /** Ends them. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function destination(
  { journal, letters, settings }: DestinationParts,
  cursor: Cursor,
  sink: Sink,
  options: DeliveryOptions,
  about: Pick<Destination, "kind" | "url" | "forward" | "overflow">,
): Destination {
  const onEvent = (event: DeliveryEvent) => {
    if (event.kind === "failed" || event.kind === "full") made.onFailure();
    settings.onEvent(deliveryEvent(cursor.name, event));
  };
  const { circuitBreakerThreshold: failureThreshold, circuitBreakerCooldownMs: cooldownMs } =
    settings;
  const delivery = new Delivery(journal, cursor, sink, letters, {
    ...options,
    failureThreshold,
    cooldownMs,
    closeGraceMs: CLOSE_GRACE_MS,
    onEvent,
  });
  const made: Destination = { ...about, delivery, onFailure: () => {} };
  return made;
}

/** Where the database is, without passwords. */
function placeOf({ connectionString, pgliteDir }: AdapterSettings): string {
  if (pgliteDir !== undefined) return pgliteDir;
  if (connectionString === undefined) return "a client that was handed in";
  const url = URL.parse(connectionString);
  // One with an @ has a part of the password in it: there was a slash in that.
  if (url === null || url.pathname.includes("@")) return "the database of connectionString";
  return `${url.host}${url.pathname}`;
}
