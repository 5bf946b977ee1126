/**
 * A reusable list of byte ranges: where the repeated fields of the message at hand lie.
 *
 * @module
 */

/** Offsets that are kept for the next message; a message of more is one in a million. */
const KEPT = 1 << 16;

/** Start and end of each range by turns; cleared for each message. */
export class Ranges {
  offsets = new Int32Array(64);
  /** How many ranges (or single offsets) are in it. */
  count = 0;

  /** Forgets all, and keeps the memory if it is not much. */
  clear(): void {
    this.count = 0;
    if (this.offsets.length > KEPT) this.offsets = new Int32Array(64);
  }

  /** Adds a range. */
  push(from: number, to: number): void {
    const at = this.count * 2;
    if (at + 2 > this.offsets.length) this.#grow();
    this.offsets[at] = from;
    this.offsets[at + 1] = to;
    this.count++;
  }

  /** Adds a single offset; a list holds either ranges or single offsets. */
  pushOffset(offset: number): void {
    if (this.count + 1 > this.offsets.length) this.#grow();
    this.offsets[this.count++] = offset;
  }

  #grow(): void {
    const offsets = new Int32Array(this.offsets.length * 2);
    offsets.set(this.offsets);
    this.offsets = offsets;
  }
}
