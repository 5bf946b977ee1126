/**
 * The file of a dead letter.
 *
 * One file a letter, named `<destination>-<journal>-<position>-<index>`: the first 8 digits of the
 * journal's id, the position in the journal as 16 hex digits, the index within the record. So a letter
 * that is written again, after a crash or a restart, is the same file; and a journal that begins anew
 * at position 0 does not overwrite the letters of the one before it.
 *
 * ```text
 * otel-dead-letter 1 <CRC-32 of the next line>
 * {"destination":"…","signal":"traces","count":1,"reason":"…",…,"bytes":123,"crc32":"…"}
 * <123 bytes of OTLP protobuf>
 * ```
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { z } from "zod";
import type { Signal } from "./record.ts";
import type { DeadLetter } from "./sink.ts";

/** Whose letters are added. */
export interface Sender {
  /** The name of the destination. */
  readonly destination: string;
  /** The id of the journal that the positions belong to. */
  readonly journal: string;
  /** How often it was tried, of the batch that the letters were in. */
  readonly attempts: number;
}

/** What is known of a letter without its body. */
export interface LetterHead {
  /** The name of its file, by which it is read and dropped. */
  readonly name: string;
  /** The name of the destination that refused it. */
  readonly destination: string;
  /** The id of the journal it was in. */
  readonly journal: string;
  /** The position there of the record it was in. */
  readonly position: bigint;
  /** Which one of that record. */
  readonly index: number;
  /** Its signal. */
  readonly signal: Signal;
  /** Valid records in it. */
  readonly count: number;
  /** What the destination said. */
  readonly reason: string;
  /** When it was received, in ns since 1970. */
  readonly arrivalUnixNano: bigint;
  /** When it became a dead letter, in ms since 1970. */
  readonly diedAtMs: number;
  /** Attempts until then, of the batch it was in. */
  readonly attempts: number;
  /** Bytes of its body. */
  readonly bytes: number;
}

/** A letter that was read. */
export interface Letter {
  /** What it is. */
  readonly head: LetterHead;
  /** An OTLP protobuf request. */
  readonly body: Uint8Array;
}

/** A letter cannot be read: its file is damaged. The message says how. */
export class DamagedLetterError extends Error {
  /** Always `DamagedLetterError`. */
  override readonly name = "DamagedLetterError";
}

const MAGIC = "otel-dead-letter 1";
const NAME = /^(.+)-[\da-f]{8}-[\da-f]{16}-\d+$/;
/** What a reason may have, so that both lines fit into {@linkcode HEAD_BYTES} however they escape. */
const MAX_REASON = 1_000;
/** What is read to list a letter. */
export const HEAD_BYTES = 8 * 1024;

const HEAD = z.object({
  destination: z.string(),
  journal: z.string(),
  position: z.string().transform(BigInt),
  index: z.int(),
  signal: z.enum(["traces", "logs", "metrics"]),
  count: z.int(),
  reason: z.string(),
  arrivalUnixNano: z.string().transform(BigInt),
  diedAtMs: z.number(),
  attempts: z.int(),
  bytes: z.int(),
  crc32: z.string(),
});

/** The name of the file of a letter. */
export function nameOf({ position, index }: DeadLetter, { destination, journal }: Sender): string {
  const place = position.toString(16).padStart(16, "0");
  return `${fileSafe(destination)}-${journal.slice(0, 8)}-${place}-${index}`;
}

/** Names stay apart on file systems that do not tell the case of letters, and reveal no folder. */
function fileSafe(text: string): string {
  const escape = (byte: number) => `%${byte.toString(16).padStart(2, "0")}`;
  return text.replace(
    /[^a-z0-9_.-]/gu,
    (character) => [...new TextEncoder().encode(character)].map(escape).join(""),
  );
}

/** The destination in the name of a file; undefined if it is not that of a letter. */
export function destinationOf(name: string): string | undefined {
  try {
    return decodeURIComponent(NAME.exec(name)?.[1] ?? "") || undefined;
  } catch {
    return undefined;
  }
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, "0");
}

/** A letter as it stands in its file. */
export function encodeLetter(letter: DeadLetter, sender: Sender, now: number): Uint8Array[] {
  const { position, index, signal, count, arrivalUnixNano, reason, body } = letter;
  const { destination, journal, attempts } = sender;
  const line = new TextEncoder().encode(JSON.stringify({
    destination,
    journal,
    position: String(position),
    index,
    signal,
    count,
    reason: reason.slice(0, MAX_REASON),
    arrivalUnixNano: String(arrivalUnixNano),
    diedAtMs: now,
    attempts,
    bytes: body.length,
    crc32: checksum(body),
  }));
  const first = new TextEncoder().encode(`${MAGIC} ${checksum(line)}\n`);
  return [first, line, new TextEncoder().encode("\n"), body];
}

/** The beginning of a file. */
interface Beginning {
  readonly head: LetterHead;
  /** The checksum of the body. */
  readonly crc: string;
  /** Where the body begins. */
  readonly length: number;
}

/**
 * Reads the beginning of a file, at most {@linkcode HEAD_BYTES}.
 *
 * @throws {DamagedLetterError} It is not that of a letter.
 */
export function decodeHead(name: string, bytes: Uint8Array): Beginning {
  const from = bytes.indexOf(10) + 1;
  const to = bytes.indexOf(10, from);
  const first = new TextDecoder().decode(bytes.subarray(0, from));
  if (from === 0 || to < 0 || !first.startsWith(`${MAGIC} `)) {
    throw damage(name, "it does not begin as a dead letter does");
  }
  const line = bytes.subarray(from, to);
  if (first !== `${MAGIC} ${checksum(line)}\n`) {
    throw damage(name, "its second line does not match its checksum");
  }
  // What has its checksum was written by us.
  const { crc32: crc, ...rest } = HEAD.parse(JSON.parse(new TextDecoder().decode(line)));
  return { head: { name, ...rest }, crc, length: to + 1 };
}

/**
 * Reads a file.
 *
 * @throws {DamagedLetterError} It is no letter, or not any more.
 */
export function decodeLetter(name: string, bytes: Uint8Array): Letter {
  const { head, crc, length } = decodeHead(name, bytes);
  const body = bytes.subarray(length);
  if (body.length !== head.bytes) {
    throw damage(name, `its body has ${body.length} bytes and not ${head.bytes}`);
  }
  if (checksum(body) !== crc) throw damage(name, "its body does not match its checksum");
  return { head, body };
}

function damage(name: string, what: string): DamagedLetterError {
  return new DamagedLetterError(`Cannot read the dead letter ${name}: ${what}`);
}
