/** Colours of services: the same for every viewer of the same services, distinct up to ten. */

const SLOTS = 10;

/** A place in the palette. */
export interface Slot {
  /** `var(--c3)`. */
  readonly color: string;
  /** The name of its variable: `--c3`. */
  readonly name: string;
  /** Whether another service of the view has this colour as well. */
  readonly repeats: boolean;
}

/**
 * A colour for each name.
 *
 * @example Ten services have ten colours
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const slots = slotsOf(Array.from({ length: 10 }, (_, n) => `service ${n}`));
 * assert.equal(new Set([...slots.values()].map(({ color }) => color)).size, 10);
 * ```
 */
export function slotsOf(names: Iterable<string>): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  const taken = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    const repeats = taken.size >= SLOTS;
    let at = hash(name) % SLOTS;
    while (!repeats && taken.has(at)) at = (at + 1) % SLOTS;
    taken.add(at);
    slots.set(name, { color: `var(--c${at})`, name: `--c${at}`, repeats });
  }
  return slots;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value;
}
