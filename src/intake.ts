/**
 * The way in: a request is checked, counted and appended to the journal.
 *
 * It is acknowledged when nothing of it can be lost any more. In a journal on disk that is when it is
 * synced; one in memory is lost with the process, so there it is when the database has it.
 *
 * @module
 */

import {
  type Counts,
  type Journal,
  type JournalRequest,
  JournalUnavailableError,
} from "./journal.ts";
import { ended } from "./journal/waiters.ts";
import { sum } from "./ledger.ts";
import type { PreparedRows } from "./postgres/prepared_rows.ts";
import type { Signal } from "./record.ts";
import type { Refusal } from "./refusals.ts";

/** The request is not acknowledged, and sending the same again later will help. */
export class UnavailableError extends Error {
  /** Always `UnavailableError`. */
  override readonly name = "UnavailableError";
  /** When to try again, in milliseconds from now. */
  readonly retryAfterMs: number;

  /**
   * Says that it is worth trying again.
   *
   * @param message Says what could not be done, why, and what to do.
   * @param retryAfterMs When to try again, in milliseconds from now.
   */
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** What became of a request's records. */
export interface WriteResult {
  /** Records that are kept. */
  readonly accepted: number;
  /** Records that the protocol calls invalid, or the database refuses, and that are not kept. */
  readonly rejected: number;
  /** Why, for the client; empty when nothing was rejected. */
  readonly message: string;
}

/** Waits until a journal that is lost with the process has been delivered up to a position. */
export interface Settlement {
  /**
   * @param to All before it is settled when this resolves.
   * @param options `patient`: waits however long it takes.
   * @throws {UnavailableError} It takes too long, or is being closed.
   */
  until(
    to: bigint,
    signal: AbortSignal | undefined,
    options?: { readonly patient?: boolean },
  ): Promise<void>;
  /** What the database refused of the request at a position. */
  refusal(position: bigint): Refusal | undefined;
}

/** A request that is in the journal. */
export interface Taken {
  /** What became of its records on the way there. */
  readonly result: WriteResult;
  /**
   * Waits until the database has it, however long that takes. Absent where the journal outlives the
   * process, and where there is nothing to wait for.
   *
   * @throws {UnavailableError} It is being closed.
   */
  readonly stored: (() => Promise<WriteResult>) | undefined;
}

/** The ledger of what came in since the journal began, in records by signal. */
export interface IntakeCounts {
  /** Records of requests that were answered for: rejected, duplicates and accepted. */
  readonly received: Counts;
  /** Invalid ones. */
  readonly rejected: Counts;
  /** Valid ones that were there already. */
  readonly duplicates: Counts;
  /** Valid ones that the journal has taken. */
  readonly accepted: Counts;
}

/** A request in the journal. */
interface Appended {
  readonly result: WriteResult;
  /** Where; undefined when nothing of it is there. */
  readonly position?: bigint;
  /** Undefined when it was there before. */
  readonly request?: JournalRequest | undefined;
}

/**
 * Is told of each request when nothing of it can be lost any more, just before its sender is. Not of one
 * that was there already, and of none of which the database refused a record. The body is not to be
 * kept; nothing is to be thrown.
 */
export type OnKept = (request: JournalRequest) => void;

/** Takes requests into a journal. */
export class Intake {
  readonly #journal: Journal;
  readonly #rows: PreparedRows;
  readonly #settlement: Settlement | undefined;
  readonly #onKept: OnKept;
  /** Writes that are not settled. */
  readonly #writes = new Set<Promise<unknown>>();

  /**
   * @param journal Where they go.
   * @param rows What reads them.
   * @param onKept Is told of what is kept.
   * @param settlement Present for a journal in memory.
   */
  constructor(journal: Journal, rows: PreparedRows, onKept: OnKept, settlement?: Settlement) {
    this.#journal = journal;
    this.#rows = rows;
    this.#onKept = onKept;
    this.#settlement = settlement;
  }

  /** Numbers that fit together at any moment. */
  get counts(): IntakeCounts {
    const { accepted, tally: { rejected, duplicates } } = this.#journal;
    return { received: sum(sum(rejected, duplicates), accepted), rejected, duplicates, accepted };
  }

  /**
   * Waits for room in the journal, and a moment for a database that is catching up.
   *
   * @param onFull Called when there is none: it may make some.
   * @throws {UnavailableError} There is none for too long.
   * @throws The reason of `abort`.
   */
  async room(onFull: () => void, abort?: AbortSignal): Promise<void> {
    try {
      const room = this.#journal.room(abort && { signal: abort });
      if (this.#journal.stats.waiting > 0) onFull();
      await room;
      await this.#rows.room(abort);
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  /** Resolves when the requests that are being taken now are settled, or when the signal aborts. */
  async idle(signal?: AbortSignal): Promise<void> {
    await ended(Promise.allSettled(this.#writes), signal);
  }

  /**
   * Takes a request.
   *
   * @param body An Export…ServiceRequest in protobuf, not to be changed before the promise settles.
   * @throws {OtlpDecodeError} The body is none. Nothing is kept.
   * @throws {OtlpTooLargeError} Its rows take more than 256 MiB. Nothing is kept.
   * @throws {UnavailableError} Send it again later; if it was kept after all, it is not kept twice.
   * @throws The reason of `abort`; the request may have been kept.
   */
  async write(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<WriteResult> {
    const written = this.#write(signal, body, abort);
    this.#writes.add(written);
    try {
      return await written;
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      this.#writes.delete(written);
    }
  }

  /**
   * Takes a request as far as the journal. For those who keep what is only there in view.
   *
   * @throws As {@linkcode write}.
   */
  async take(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<Taken> {
    try {
      const appended = await this.#append(signal, body, abort);
      const { result, position } = appended;
      if (position === undefined || this.#settlement === undefined) {
        return { result: await this.#settled(appended), stored: undefined };
      }
      return { result, stored: () => this.#settled(appended, undefined, { patient: true }) };
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  async #write(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<WriteResult> {
    return await this.#settled(await this.#append(signal, body, abort), abort);
  }

  async #append(signal: Signal, body: Uint8Array, abort?: AbortSignal): Promise<Appended> {
    abort?.throwIfAborted();
    const arrivalUnixNano = BigInt(Date.now()) * 1_000_000n;
    const { accepted: count, rejected, message, keep } = this.#rows.check(
      signal,
      body,
      arrivalUnixNano,
    );
    const result = { accepted: count, rejected, message };
    if (count === 0) {
      this.#journal.reject(signal, rejected);
      return { result };
    }
    const request = { signal, body, count, arrivalUnixNano };
    const { position, duplicate } = await this.#journal.append(
      request,
      abort && { signal: abort },
    );
    if (!duplicate) keep(position);
    this.#journal.reject(signal, rejected);
    return { result, position, request: duplicate ? undefined : request };
  }

  async #settled(
    { result, position, request }: Appended,
    abort?: AbortSignal,
    options?: { readonly patient: boolean },
  ): Promise<WriteResult> {
    if (position === undefined) return result;
    let refusal: Refusal | undefined;
    if (this.#settlement !== undefined) {
      await this.#settlement.until(position + 1n, abort, options);
      refusal = this.#settlement.refusal(position);
    }
    // Which records of it the database refused is not said.
    if (request !== undefined && refusal === undefined) this.#onKept(request);
    return withRefusal(result, refusal);
  }
}

/** The journal's word that a request can be sent again, as that of the whole. */
function asUnavailable(error: unknown): unknown {
  if (!(error instanceof JournalUnavailableError)) return error;
  return new UnavailableError(error.message, error.retryAfterMs, { cause: error });
}

function withRefusal(result: WriteResult, refusal: Refusal | undefined): WriteResult {
  if (refusal === undefined) return result;
  const { count, reason } = refusal;
  const refused = `${count} refused by the database, the first one because ${reason}`;
  return {
    accepted: result.accepted - count,
    rejected: result.rejected + count,
    message: result.message === "" ? refused : `${result.message}; ${refused}`,
  };
}
