/**
 * What the subcommands of the collector and a collector that runs say to each other, in JSON.
 *
 * @module
 */

import { z } from "zod";
import type { Letter, LetterHead, LetterList, ReplayProgress, ReplayRequest } from "./admin.ts";

const text = z.string();
const bigint = z.string().regex(/^\d{1,20}$/).transform(BigInt);
const signal = z.enum(["traces", "logs", "metrics"]);

const NAMED = z.strictObject({ action: z.enum(["read", "replay", "drop"]), name: text.min(1) });
const LIST = z.strictObject({
  action: z.literal("list"),
  filter: z.strictObject({
    destination: text.exactOptional(),
    signal: signal.exactOptional(),
    reason: text.exactOptional(),
    limit: z.int().min(1).exactOptional(),
  }),
});
const COMMAND = z.union([LIST, NAMED]);

const HEAD = z.object({
  name: text,
  destination: text,
  journal: text,
  position: bigint,
  index: z.int(),
  signal,
  count: z.int(),
  reason: text,
  arrivalUnixNano: bigint,
  diedAtMs: z.number(),
  attempts: z.int(),
  bytes: z.int(),
});
const LETTERS = z.object({
  letters: z.array(HEAD),
  damaged: z.array(z.object({ name: text, reason: text })),
});
const LETTER = z.object({
  head: HEAD,
  body: text.transform((base64) => Uint8Array.fromBase64(base64)),
});

const REPLAY = z.strictObject({
  to: text,
  headers: z.record(text, text),
  since: bigint.optional(),
  until: bigint.optional(),
  signals: z.array(signal).min(1),
  filter: text,
});
const PROGRESS = z.object({
  signal,
  sent: z.number(),
  rejected: z.number(),
  refused: z.number(),
  reasons: z.record(text, z.number()).transform((reasons) => new Map(Object.entries(reasons))),
  requests: z.number(),
  total: z.number(),
  lastUnixNano: bigint.optional(),
});
const REPLAY_LINE = z.union([
  z.strictObject({ progress: PROGRESS }),
  z.strictObject({ result: z.array(PROGRESS) }),
  z.strictObject({ error: text }),
]);

/** What is asked of dead letters. */
export type DeadLetterAsk = z.output<typeof COMMAND>;

/** A line of the answer to a replay: how far it is, how it went, or why it ended early. */
export type ReplayLine = z.output<typeof REPLAY_LINE>;

/** @throws {z.ZodError} It is none. */
export const parseDeadLetterAsk = (value: unknown): DeadLetterAsk => COMMAND.parse(value);

/** @throws {z.ZodError} It is none. */
export const parseLetterList = (value: unknown): LetterList => LETTERS.parse(value);

/** @throws {z.ZodError} It is none. */
export const parseLetter = (value: unknown): Letter => LETTER.parse(value);

/** @throws {z.ZodError} It is none. */
export function parseReplayRequest(value: unknown): ReplayRequest {
  const { since, until, ...request } = REPLAY.parse(value);
  return { ...request, since, until };
}

/** @throws {z.ZodError} It is none. */
export const parseReplayLine = (value: unknown): ReplayLine => REPLAY_LINE.parse(value);

/** A letter's head. */
export function headJson(
  head: LetterHead,
): Readonly<Record<keyof LetterHead, string | number>> {
  return {
    ...head,
    position: String(head.position),
    arrivalUnixNano: String(head.arrivalUnixNano),
  };
}

/** Letters. */
export function lettersJson({ letters, damaged }: LetterList): Readonly<Record<string, unknown>> {
  return { letters: letters.map(headJson), damaged };
}

/** A letter with its body. */
export function letterJson({ head, body }: Letter): Readonly<Record<string, unknown>> {
  return { head: headJson(head), body: body.toBase64() };
}

/** What to replay. */
export function replayRequestJson(request: ReplayRequest): Readonly<Record<string, unknown>> {
  const { to, headers, since, until, signals, filter } = request;
  // Absent fields are not written.
  return { to, headers, since: since?.toString(), until: until?.toString(), signals, filter };
}

/** How far a replay is. */
export function progressJson(progress: ReplayProgress): Readonly<Record<string, unknown>> {
  const { reasons, lastUnixNano } = progress;
  return {
    ...progress,
    reasons: Object.fromEntries(reasons),
    lastUnixNano: lastUnixNano?.toString(),
  };
}
