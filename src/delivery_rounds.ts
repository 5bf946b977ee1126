/**
 * The rounds of a delivery: each gives a batch to the sink, in as many attempts as it takes, and makes
 * durable what became of it: first its dead letters, then how far it has come.
 *
 * @module
 */

import type { Graveyard, Sender } from "./dead_letters.ts";
import type { Attempts, Ending } from "./delivery_attempts.ts";
import { DeliveryCall } from "./delivery_call.ts";
import type { DeliverySettings } from "./delivery_options.ts";
import type { Progress } from "./delivery_progress.ts";
import type { Settling } from "./delivery_state.ts";
import type { JournalRecord, ReadBounds } from "./journal.ts";
import { countsOf } from "./ledger.ts";
import type { Delivered, Sink } from "./sink.ts";

/** For which part of the time that it may take a call of the sink gets more when it asks. */
const GOES_ON = 1 / 4;
/** Which part of a batch has to be there for it to get more: many small ones cost more than a few. */
const WORTH_IT = 1 / 2;

/** What rounds need of their delivery. */
export interface RoundsParts {
  /** Where records go. */
  readonly sink: Sink;
  /** Where to put what the sink calls dead. */
  readonly deadLetters: Graveyard;
  /** Who buries. */
  readonly sender: Omit<Sender, "attempts">;
  /** The delivery's. */
  readonly settings: DeliverySettings;
  /** How the sink is called. */
  readonly attempts: Attempts;
  /** How far the delivery has come. */
  readonly progress: Progress;
  /** Whether a call may get more when it asks: not while the delivery is to pause or to close. */
  readonly mayGoOn: () => boolean;
  /** Called when the position has moved. */
  readonly onSettled: () => void;
}

/** All rounds of a delivery, one at a time. `Delivery` says when. */
export class DeliveryRounds {
  readonly #parts: RoundsParts;
  /** How much a batch may be. */
  readonly bounds: ReadBounds;
  /** Calls of the sink: in all, and those given records since something was settled. */
  #calls = 0;
  #callsHere = 0;

  /** @param parts See {@linkcode RoundsParts}. */
  constructor(parts: RoundsParts) {
    const { maxBatchBytes: maxBytes, maxBatchRecords: maxRecords } = parts.settings;
    this.#parts = parts;
    const { sink } = parts;
    this.bounds = { maxBytes, maxRecords, knows: (position) => sink.knows?.(position) ?? false };
  }

  /** Calls of the sink, which was asked where to go on or given records. */
  get calls(): number {
    return this.#calls;
  }

  /** Whether the sink keeps the position itself, and not the cursor. */
  get sinkKeepsPosition(): boolean {
    return this.#parts.sink.position !== undefined;
  }

  /** Asks the sink, or the cursor, where to go on. */
  async locate(ending: Ending): Promise<void> {
    const { sink, attempts, progress } = this.#parts;
    await progress.look();
    const { position } = sink;
    const said = position === undefined ? undefined : await attempts.run((signal) => {
      this.#calls++;
      return position.call(sink, signal);
    }, ending) ?? "nothing";
    await progress.locate(said);
  }

  /**
   * Gives a batch to the sink.
   *
   * @returns What is yet to be settled; nothing when all that the sink has done is durable.
   * @throws {CircuitBreakerOpenError} The sink was not called.
   * @throws What the last attempt threw.
   */
  async deliver(records: readonly JournalRecord[], ending: Ending): Promise<Settling | undefined> {
    const { sink, deadLetters, settings, attempts, progress } = this.#parts;
    const { attemptTimeoutMs, time } = settings;
    const until = time.clock() + attemptTimeoutMs * GOES_ON;
    let call: DeliveryCall | undefined;
    const attempt = async (signal: AbortSignal) => {
      await call?.end();
      this.#calls++;
      this.#callsHere++;
      call = new DeliveryCall(records, {
        sink,
        bury: async (letters, given, refuse) => {
          await deadLetters.add(letters, this.#sender);
          refuse();
          await progress.bury(letters, given);
          refuse();
        },
        settle: async (given, settled) => {
          await this.settle(given, settled, false);
          // This is the first call of what is left.
          this.#callsHere = 1;
        },
        follow: (from) => this.#follow(from, until),
      });
      return await call.run(signal);
    };
    // A sink that keeps the position is asked for it before anything is given to it again.
    const times = this.sinkKeepsPosition ? 1 : undefined;
    try {
      const answer = await attempts.run(attempt, ending, { times, failureOf });
      return answer && { kind: "settling", records: call!.records, answer };
    } finally {
      await call?.end();
    }
  }

  /**
   * Makes durable what became of records.
   *
   * @param isLast Whether the call of the sink has ended.
   */
  async settle(
    records: readonly JournalRecord[],
    answer: Delivered,
    isLast = true,
  ): Promise<void> {
    const { deadLetters, progress, settings, onSettled } = this.#parts;
    const { dead } = answer;
    await deadLetters.add(dead, this.#sender);
    await progress.settle(records, answer, isLast);
    this.#callsHere = 0;
    const [first] = dead;
    if (first !== undefined) {
      const { reason } = first;
      settings.onEvent({ kind: "dead", letters: dead.length, counts: countsOf(dead), reason });
    }
    onSettled();
  }

  /** What a call of the sink gets when it asks for more. */
  async #follow(from: bigint, until: number): Promise<readonly JournalRecord[]> {
    const { settings: { time, maxBatchBytes }, attempts, progress, mayGoOn } = this.#parts;
    // A probe is one batch.
    const goesOn = mayGoOn() && attempts.breaker === "CLOSED" && time.clock() < until;
    return goesOn ? await progress.readOn(from, this.bounds, maxBatchBytes * WORTH_IT) : [];
  }

  get #sender(): Sender {
    return { ...this.#parts.sender, attempts: this.#callsHere };
  }
}

function failureOf(answer: Delivered | undefined): unknown {
  return answer?.failure;
}
