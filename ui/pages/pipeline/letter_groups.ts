/** Dead letters that have the same destination and reason are dealt with together. */

import { post } from "../../frame/api.ts";
import { recordsText, type Signal, SIGNALS } from "./balance.ts";

/** A letter without its body, as the API tells it. */
export interface LetterHead {
  readonly name: string;
  readonly destination: string;
  readonly signal: Signal;
  /** Records in it. */
  readonly count: number;
  readonly reason: string;
  /** Nanoseconds. */
  readonly arrivalUnixNano: string;
  readonly diedAtMs: number;
  readonly attempts: number;
  /** Of its body. */
  readonly bytes: number;
}

/** What the API lists. */
export interface LetterList {
  readonly letters: readonly LetterHead[];
  readonly damaged: readonly { readonly name: string; readonly reason: string }[];
}

/** What letters of a group have in common. */
export type Likeness = Pick<LetterHead, "destination" | "reason">;

/** Letters that are alike. */
export interface LetterGroup extends Likeness {
  /** At least one, as listed. */
  readonly letters: readonly LetterHead[];
  /** Records in them. */
  readonly records: number;
  /** When the first of them arrived, in nanoseconds. */
  readonly oldestNanos: string;
  /** The most of one of them. */
  readonly attempts: number;
}

/** How many are looked at to find the groups. */
export const LISTED = 1_000;
/** How many of one group are dealt with together. */
const MOST = 100_000;

/** The letters there are. */
export async function listLetters(signal: AbortSignal): Promise<LetterList> {
  return await (await ask({ action: "list", filter: { limit: LISTED } }, signal)).json();
}

/** All letters of a group, as of now. */
export async function lettersOf(
  { destination, reason }: Likeness,
  signal: AbortSignal,
): Promise<LetterHead[]> {
  // The API looks for a part of the reason.
  const filter = { destination, ...reason === "" ? {} : { reason }, limit: MOST };
  const { letters }: LetterList = await (await ask({ action: "list", filter }, signal)).json();
  return letters.filter((letter) => letter.reason === reason);
}

/** A command for dead letters. */
export async function ask(command: unknown, signal?: AbortSignal): Promise<Response> {
  return await post("/api/dead-letters", command, signal);
}

/** A text that is the same for letters that are alike. */
export function keyOf({ destination, reason }: Likeness): string {
  return JSON.stringify([destination, reason]);
}

/** What is in letters: so many records of each signal, in words. */
export function recordsIn(letters: readonly LetterHead[]): string[] {
  return SIGNALS.map((signal) => ({
    signal,
    number: letters.reduce((sum, one) => one.signal === signal ? sum + one.count : sum, 0),
  })).filter(({ number }) => number > 0).map(({ signal, number }) => recordsText(signal, number));
}

/** Letters by what they have in common, in the order of destinations and reasons. */
export function groupsOf(letters: readonly LetterHead[]): LetterGroup[] {
  const groups = Map.groupBy(letters, keyOf);
  return [...groups].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, alike]) => {
    const { destination, reason } = alike[0]!;
    const arrivals = alike.map(({ arrivalUnixNano }) => BigInt(arrivalUnixNano));
    return {
      destination,
      reason,
      letters: alike,
      records: alike.reduce((sum, { count }) => sum + count, 0),
      oldestNanos: String(arrivals.reduce((a, b) => a < b ? a : b)),
      attempts: Math.max(...alike.map(({ attempts }) => attempts)),
    };
  });
}
