/**
 * Reading request bodies within bounds: of size, of memory, of time.
 *
 * What is held at a time, however many send at once:
 *
 * - Bodies that are being read or are on their way into the store share {@linkcode BodyLimits.readingBytes}.
 *   Each reserves its declared length before its first byte is read; until then it stays in the
 *   sender's socket. A quarter is kept for bodies of at most 1 MiB, so that a few large and slow
 *   senders do not hold up the small ones.
 * - A body without a declared length begins as a small one of 64 KiB and reserves the most a body
 *   may have when it turns out to be larger. It does not grow step by step: bodies that each hold a
 *   part and wait for the rest would wait for each other.
 * - One body is decompressed at a time. What comes out is checked against
 *   {@linkcode BodyLimits.inflatedBytes} while it comes out, which is also what all decompressed
 *   bodies that are on their way into the store may take together.
 *
 * @module
 */

import { inspect } from "node:util";
import { z } from "zod";
import { BufferPool } from "./buffer_pool.ts";
import { ByteBudget, type ByteLease } from "./byte_budget.ts";
import { type ContentEncoding, decompress } from "./decompress.ts";
import { RequestError } from "./request_error.ts";

const MiB = 1024 * 1024;
/** Bodies up to here have a part of the budget to themselves. */
const SMALL_BYTES = MiB;
/** What a body without a declared length reserves at first. */
const UNDECLARED_BYTES = 64 * 1024;
/** Memory of bodies that is kept to be lent again. */
const LENT_BYTES = 8 * MiB;
/** What a decompressed body reserves at first; doubled when it is too little. */
const FIRST_INFLATED_BYTES = 64 * 1024;

/** The bounds of {@linkcode RequestBodies}. */
export interface BodyLimits {
  /**
   * The largest body as sent, in bytes; larger ones get 413.
   *
   * @default {16_777_216}
   */
  readonly bodyBytes?: number;
  /**
   * The largest body decompressed, in bytes; larger ones get 413. Also what all decompressed bodies
   * that wait for the store may take together.
   *
   * @default {67_108_864}
   */
  readonly inflatedBytes?: number;
  /**
   * What all bodies that are being read or wait for the store may take together, as sent, in bytes.
   * At least four thirds of `bodyBytes`, and 4 MiB.
   *
   * @default {67_108_864}
   */
  readonly readingBytes?: number;
  /**
   * Whether bodies are only lent: the memory of one is used again once the promise of `deliver` has
   * settled. For a store that keeps nothing of them.
   *
   * @default {false}
   */
  readonly lend?: boolean;
  /**
   * Whether requests come from `Deno.serve` as they are, so that nobody else has the chunks of their
   * bodies: the memory of one is given back as soon as it was copied, and a body with a declared length
   * ends with its last byte.
   *
   * @default {false}
   */
  readonly fromSocket?: boolean;
  /**
   * How long a body may take to arrive once it is being read, in milliseconds; slower ones get 408.
   *
   * @default {30_000}
   */
  readonly readTimeoutMs?: number;
  /**
   * How long a body may wait for its part of the memory, in milliseconds; after that it gets 503.
   *
   * @default {30_000}
   */
  readonly waitTimeoutMs?: number;
}

const bytes = z.int().positive();
const milliseconds = z.int().positive().max(0x7fffffff);
const limitsSchema = z.strictObject({
  bodyBytes: bytes.default(16 * MiB),
  inflatedBytes: bytes.default(64 * MiB),
  readingBytes: bytes.min(4 * SMALL_BYTES).default(64 * MiB),
  lend: z.boolean().default(false),
  fromSocket: z.boolean().default(false),
  readTimeoutMs: milliseconds.default(30_000),
  waitTimeoutMs: milliseconds.default(30_000),
}).superRefine(({ bodyBytes, readingBytes }, context) => {
  if (bodyBytes <= largeShare(readingBytes)) return;
  const message = `must be at least four thirds of bodyBytes, which is ${bodyBytes}`;
  context.addIssue({ code: "custom", path: ["readingBytes"], message, input: readingBytes });
});

function largeShare(readingBytes: number): number {
  return readingBytes - Math.floor(readingBytes / 4);
}

/** Bytes that grow by doubling, so that a body in a million chunks costs what it weighs. */
class Gathered {
  #bytes: Uint8Array;
  #length = 0;

  /** @param bytes Memory to begin with. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** The capacity that takes `more` bytes, within `limit`. */
  capacityFor(more: number, limit: number): number {
    const needed = this.#length + more;
    if (needed <= this.capacity) return this.capacity;
    return Math.min(limit, Math.max(needed, this.capacity * 2));
  }

  append(chunk: Uint8Array, limit: number): void {
    const capacity = this.capacityFor(chunk.length, limit);
    if (capacity > this.capacity) {
      const larger = new Uint8Array(capacity);
      larger.set(this.finish());
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * Reads request bodies within {@linkcode BodyLimits}. One instance for all requests that share a
 * memory.
 *
 * @example A body on its way into a store
 * ```ts
 * import { RequestBodies } from "@oneiric/otel-storage/server";
 * import assert from "node:assert/strict";
 *
 * const bodies = new RequestBodies({ bodyBytes: 1024 });
 * const request = new Request("http://localhost/v1/traces", { method: "POST", body: "hello" });
 * const length = await bodies.receive(request, "identity", async (body) => {
 *   assert.equal(new TextDecoder().decode(body), "hello");
 *   return body.length;
 * });
 * assert.equal(length, 5);
 * assert.equal(bodies.heldBytes, 0);
 * ```
 */
export class RequestBodies {
  readonly #limits: Required<BodyLimits>;
  readonly #small: ByteBudget;
  readonly #large: ByteBudget;
  readonly #inflated: ByteBudget;
  /** Who holds its one byte may decompress. */
  readonly #turn = new ByteBudget(1);
  readonly #pool = new BufferPool(LENT_BYTES);
  #heldHighWater = 0;

  /**
   * Nothing is held yet.
   *
   * @param limits The bounds.
   * @throws {RangeError} A limit is unknown or out of range; the message names it and its value.
   */
  constructor(limits: BodyLimits = {}) {
    const parsed = limitsSchema.safeParse(limits, { reportInput: true });
    if (!parsed.success) {
      const { path: [limit = "limits"], message, input } = parsed.error.issues[0]!;
      throw new RangeError(
        `Cannot create RequestBodies with '${String(limit)}': ${inspect(input)} (${message})`,
        { cause: parsed.error },
      );
    }
    this.#limits = parsed.data;
    const large = largeShare(parsed.data.readingBytes);
    this.#small = new ByteBudget(parsed.data.readingBytes - large);
    this.#large = new ByteBudget(large);
    this.#inflated = new ByteBudget(parsed.data.inflatedBytes);
  }

  /** Bytes held for bodies now, as sent and decompressed. */
  get heldBytes(): number {
    return this.#small.used + this.#large.used + this.#inflated.used;
  }

  /** The most that {@linkcode RequestBodies.heldBytes} ever was. */
  get heldHighWater(): number {
    return this.#heldHighWater;
  }

  /** How many bodies wait for memory or for their turn to be decompressed. */
  get waiting(): number {
    return [this.#small, this.#large, this.#inflated, this.#turn]
      .reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /**
   * Reads and decompresses the body of a request, then calls `deliver` with it. The memory is held
   * until the promise of `deliver` settles; one that decompresses has its turn until `deliver`
   * returns that promise.
   *
   * @param request The request. Its signal ends every wait.
   * @param encoding How its body is compressed.
   * @param deliver What to do with the body, which is its own from then on, unless bodies are lent.
   * @returns What `deliver` resolves to.
   * @throws {RequestError} 400 for a body that is cut or corrupt, 408 for one that is too slow, 413
   * for one that is too large, 503 when there was no memory in time.
   * @throws The reason of the request's signal, and what `deliver` rejects with.
   */
  async receive<T>(
    request: Request,
    encoding: ContentEncoding,
    deliver: (body: Uint8Array) => Promise<T>,
  ): Promise<T> {
    using held = new DisposableStack();
    const sent = await this.#read(request, held);
    if (encoding === "identity") return await deliver(sent);
    const chunks = decompress(sent, encoding);
    return await this.#inflate(chunks, request.signal, held, deliver);
  }

  async #read(request: Request, held: DisposableStack): Promise<Uint8Array> {
    const { bodyBytes, fromSocket, readTimeoutMs } = this.#limits;
    const declared = declaredLength(request.headers);
    if (declared !== undefined && declared > bodyBytes) throw tooLarge(bodyBytes);
    let room = declared ?? Math.min(UNDECLARED_BYTES, bodyBytes);
    const lane = room <= SMALL_BYTES ? this.#small : this.#large;
    const lease = held.use(await this.#reserve(lane, room, request.signal));
    const body = new Gathered(this.#memoryFor(declared, held) ?? new Uint8Array(room));
    const late = new AbortController();
    const start = () =>
      setTimeout(() => {
        const message = `Cannot read the body: it did not arrive within ${readTimeoutMs} ms`;
        late.abort(new RequestError(408, message));
      }, readTimeoutMs);
    let timer = start();
    try {
      const signal = AbortSignal.any([request.signal, late.signal]);
      for await (const chunk of chunksOf(request.body, signal)) {
        const length = body.length + chunk.length;
        if (length > bodyBytes) throw tooLarge(bodyBytes);
        if (length > room) {
          if (declared !== undefined) throw wrongLength(declared);
          // Waiting for memory is not the sender's fault: the time it has begins anew.
          clearTimeout(timer);
          held.use(await this.#reserve(this.#large, bodyBytes, request.signal));
          lease[Symbol.dispose]();
          room = bodyBytes;
          timer = start();
        }
        body.append(chunk, room);
        if (fromSocket) {
          // 64 KiB each: left to the garbage collector they are tens of MB at full rate.
          (chunk.buffer as ArrayBuffer).transfer(0);
          // To read on and find the end takes as much again.
          if (body.length === declared) break;
        }
      }
    } finally {
      clearTimeout(timer);
    }
    if (declared !== undefined && body.length !== declared) throw wrongLength(declared);
    return body.finish();
  }

  /** Memory that is lent, for a body whose length is known. */
  #memoryFor(
    declared: number | undefined,
    held: DisposableStack,
  ): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#limits.lend || declared === undefined) return undefined;
    const buffer = this.#pool.take(declared);
    held.defer(() => this.#pool.give(buffer));
    return buffer;
  }

  async #inflate<T>(
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    held: DisposableStack,
    deliver: (body: Uint8Array) => Promise<T>,
  ): Promise<T> {
    const limit = this.#limits.inflatedBytes;
    let delivery: Promise<T>;
    {
      using _turn = await this.#reserve(this.#turn, 1, signal);
      const first = Math.min(FIRST_INFLATED_BYTES, limit);
      held.use(await this.#reserve(this.#inflated, first, signal));
      const body = new Gathered(new Uint8Array(first));
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        if (body.length + chunk.length > limit) throw tooLarge(limit, " decompressed");
        const more = body.capacityFor(chunk.length, limit) - body.capacity;
        // Only the one whose turn it is asks for more, so nobody waits for each other here.
        if (more > 0) held.use(await this.#reserve(this.#inflated, more, signal));
        body.append(chunk, limit);
      }
      delivery = deliver(body.finish());
    }
    return await delivery;
  }

  /** Waits for a part of `budget`, but not for ever. */
  async #reserve(budget: ByteBudget, bytes: number, signal: AbortSignal): Promise<ByteLease> {
    // Nearly all get it at once, and need no clock.
    const lease = budget.tryReserve(bytes) ?? await this.#waitFor(budget, bytes, signal);
    this.#heldHighWater = Math.max(this.#heldHighWater, this.heldBytes);
    return lease;
  }

  async #waitFor(budget: ByteBudget, bytes: number, signal: AbortSignal): Promise<ByteLease> {
    const { waitTimeoutMs } = this.#limits;
    const late = new AbortController();
    const timer = setTimeout(() => {
      const message = `Cannot read the body: ${this.waiting} requests wait for memory, ` +
        `${this.heldBytes} bytes are held; send again later`;
      late.abort(new RequestError(503, message, { retryAfterMs: 1000 }));
    }, waitTimeoutMs);
    try {
      return await budget.reserve(bytes, AbortSignal.any([signal, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The chunks of a body, none for null; ends with the signal's reason when that aborts. */
async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  // A pending read does not know the signal; cancelling ends it. Cancelling fails when the sender is
  // gone, which is what it is for.
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    while (true) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new RequestError(400, "Cannot read the body: it ended early", { cause: error });
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** The declared length of a body, undefined without one. */
function declaredLength(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  // With a transfer encoding, the length is not that of the body (RFC 9112, section 6.3).
  if (text === null || headers.has("transfer-encoding")) return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new RequestError(400, "Cannot read the body: its Content-Length is no number");
  }
  return Number(text);
}

function tooLarge(limit: number, how = ""): RequestError {
  return new RequestError(
    413,
    `Cannot read the body: it is larger than ${limit} bytes${how}; send smaller batches`,
  );
}

function wrongLength(declared: number): RequestError {
  return new RequestError(
    400,
    `Cannot read the body: its length is not the ${declared} bytes of its Content-Length`,
  );
}
