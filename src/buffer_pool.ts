/**
 * Memory that is used again: a large buffer costs more to get from the system, to clear and to give
 * back than most of what is done with it.
 *
 * @module
 */

const SMALLEST = 64 << 10;
const LARGEST = 4 << 20;

/**
 * Buffers for bytes that come and go.
 *
 * @example Given back and taken again
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const pool = new BufferPool(1 << 20);
 * const buffer = pool.take(100_000);
 * assert.equal(buffer.length, 131_072);
 * pool.give(buffer);
 * assert.equal(pool.take(110_000), buffer);
 * ```
 */
export class BufferPool {
  readonly #maxBytes: number;
  /** By length. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #bytes = 0;

  /** @param maxBytes Bytes that are kept while nobody has them; what is given beyond that is freed. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A buffer of at least `size` bytes, which may hold anything. Its length is a power of two from
   * 64 KiB to 4 MiB, or halfway between two; a larger one has the size that was asked for, and is not
   * kept.
   */
  take(size: number): Uint8Array<ArrayBuffer> {
    const length = lengthFor(size);
    const buffer = this.#free.get(length)?.pop();
    if (buffer === undefined) return new Uint8Array(length);
    this.#bytes -= length;
    return buffer;
  }

  /** Gives back what was taken, once. Nobody may look at it any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const { length } = buffer;
    if (length > LARGEST || this.#bytes + length > this.#maxBytes) {
      // At once: the collector of garbage would come for it when there are tens of MB.
      buffer.buffer.transfer(0);
      return;
    }
    const free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, [buffer]);
    else free.push(buffer);
    this.#bytes += length;
  }
}

function lengthFor(size: number): number {
  if (size > LARGEST) return size;
  let length = SMALLEST;
  while (length < size) length *= 2;
  const halfway = length / 4 * 3;
  return halfway >= size && halfway > SMALLEST ? halfway : length;
}
