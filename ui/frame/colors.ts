/**
 * Colours of services: the same for every viewer of the same services, distinct up to ten. Beyond, they
 * come again with stripes.
 */

const SLOTS = 10;
/** In degrees, of the stripes of the second ten, the third ten and so on. */
const STRIPES = [45, 135, 0, 90] as const;

/** A place in the palette. */
export interface Slot {
  /** As a CSS background: `var(--c3)`, or stripes of it. */
  readonly color: string;
  /** The name of its variable: `--c3`. */
  readonly name: string;
  /** Whether another service of the view has this colour as well. */
  readonly repeats: boolean;
}

/**
 * A colour for each name.
 *
 * @example Ten services have ten colours, twenty have ten of them striped
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const names = Array.from({ length: 20 }, (_, n) => `service ${String(n).padStart(2, "0")}`);
 * const slots = slotsOf(names);
 * assert.equal(new Set([...slots.values()].map(({ color }) => color)).size, 20);
 * assert.deepEqual([...slots.values()].map(({ repeats }) => repeats), names.map((_, n) => n >= 10));
 * ```
 */
export function slotsOf(names: Iterable<string>): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  let taken = new Set<number>();
  for (const [index, name] of [...new Set(names)].sort().entries()) {
    if (taken.size === SLOTS) taken = new Set();
    let at = hash(name) % SLOTS;
    while (taken.has(at)) at = (at + 1) % SLOTS;
    taken.add(at);
    const round = Math.floor(index / SLOTS);
    const plain = `var(--c${at})`;
    slots.set(name, {
      color: round === 0 ? plain : striped(plain, round),
      name: `--c${at}`,
      repeats: round > 0,
    });
  }
  return slots;
}

function striped(color: string, round: number): string {
  const degrees = STRIPES[(round - 1) % STRIPES.length]!;
  return `repeating-linear-gradient(${degrees}deg, ${color} 0 3px, var(--bg) 3px 5px)`;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value;
}
