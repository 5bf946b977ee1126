/**
 * How long and how hard the crash harness tries: more by hand than in the suite.
 *
 * @module
 */

/** How often a collector is killed. */
export const crashRounds: number = setting("CRASH_ROUNDS", 20);

/** How long its breakers stay open, in milliseconds. */
export const crashCooldownMs: number = setting("CRASH_COOLDOWN_MS", 500);

/** Where chance begins. */
export const crashSeed: number = setting("CRASH_SEED", 1);

function setting(name: string, otherwise: number): number {
  const text = Deno.env.get(name) || String(otherwise);
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`Cannot use ${name} "${text}": not a number`);
  return Number(text);
}
