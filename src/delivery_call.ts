/**
 * One call of a sink: what it is given, what it says meanwhile, and what it answers.
 *
 * A sink that keeps the position itself may ask for more while it is at it. What it has settled by then
 * is made durable first, so that whoever looks at the delivery sees it move. A call may be left alone,
 * when its time is up; from then on it changes nothing any more.
 *
 * @module
 */

import type { JournalRecord } from "./journal.ts";
import { type Bury, type Delivered, joined, type More, type Sink } from "./sink.ts";

/** What a call needs of its delivery. */
export interface CallParts {
  readonly sink: Sink;
  /** Makes dead letters of some records durable; `refuse` throws when the call is over. */
  readonly bury: (
    letters: Parameters<Bury>[0],
    records: readonly JournalRecord[],
    refuse: () => void,
  ) => Promise<void>;
  /** Makes durable what became of the first of some records, and goes on behind them. */
  readonly settle: (records: readonly JournalRecord[], settled: Delivered) => Promise<void>;
  /** The records that follow at a position; none when the call is to end. */
  readonly follow: (from: bigint) => Promise<readonly JournalRecord[]>;
}

/** A call of a sink. To be run once. */
export class DeliveryCall {
  readonly #parts: CallParts;
  #records: readonly JournalRecord[];
  /** Where the last record ends that it was given. */
  #to: bigint;
  /** What it has said and is yet to be made durable. */
  #said: Delivered | undefined;
  #isOver = false;
  /** Settles when nothing is made durable by it any more. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param records At least one. */
  constructor(records: readonly JournalRecord[], parts: CallParts) {
    this.#parts = parts;
    this.#records = records;
    this.#to = records.at(-1)!.next;
  }

  /** Those that it was given and of which nothing is durable yet. */
  get records(): readonly JournalRecord[] {
    return this.#records;
  }

  /**
   * Calls the sink.
   *
   * @returns What became of {@linkcode records}; undefined when all that it has done is durable.
   * @throws What the sink throws or, when it has settled nothing more, its failure.
   */
  async run(signal: AbortSignal): Promise<Delivered | undefined> {
    const { sink, bury } = this.#parts;
    const refuse = () => this.#refuseIfOver();
    const from = this.#records[0]!.position;
    const more: More | undefined = sink.position && ((settled) => {
      const records = this.#more(settled);
      this.#turn = records.catch(() => {});
      return records;
    });
    const rest = await sink.deliver(
      this.#records,
      signal,
      (letters) => bury(letters, this.#records, refuse),
      more,
    );
    const answer = joined(this.#said, rest);
    if (this.#isEnd(answer.next)) return answer;
    if (answer.failure !== undefined) throw answer.failure;
    const to = this.#records[0]?.position ?? this.#to;
    if (answer.next === to && to !== from) return undefined;
    throw new TypeError(
      `Cannot go on at ${answer.next}: a sink has to settle whole records, the first of them ` +
        `at ${to}`,
    );
  }

  /** Ends it: from now on nothing comes of it. Waits for what is being written. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#turn;
  }

  async #more(settled: Delivered | undefined): Promise<readonly JournalRecord[]> {
    this.#refuseIfOver();
    if (settled !== undefined) this.#said = joined(this.#said, settled);
    try {
      await this.#settle();
      const records = await this.#parts.follow(this.#to);
      this.#refuseIfOver();
      this.#records = [...this.#records, ...records];
      this.#to = records.at(-1)?.next ?? this.#to;
      return records;
    } catch {
      this.#refuseIfOver();
      // It is tried again when the call has ended, and told if it fails then.
      return [];
    }
  }

  async #settle(): Promise<void> {
    const said = this.#said;
    if (said === undefined || !this.#isEnd(said.next)) return;
    await this.#parts.settle(this.#records, said);
    this.#said = undefined;
    this.#records = this.#records.filter(({ position }) => position >= said.next);
  }

  /** Whether one of its records ends there. */
  #isEnd(at: bigint): boolean {
    return this.#records.some(({ next }) => next === at);
  }

  /** A call that was left alone knows nothing of those that came after it. */
  #refuseIfOver(): void {
    if (!this.#isOver) return;
    throw new DOMException("The delivery was interrupted: its time is up", "AbortError");
  }
}
