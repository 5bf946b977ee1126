/**
 * Cursors: where the next page of a query begins, as a text that only the same query takes.
 *
 * A cursor holds the time range of the first page, so that "the last hour" stays the same hour, and
 * the key of the last row. Both are bound to the question by a hash: a mistake is refused instead of
 * giving the wrong page. The range need not be said again; where it is, it has to be that one. It is no
 * secret, and whoever forges one gets another place in the same answer.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { QueryError } from "./query_error.ts";
import type { RangeOptions, TimeRange } from "./range.ts";

/**
 * What is asked: the name of the query and its options. `limit` and `cursor` may change by the page,
 * and the range be left out.
 */
export interface Question {
  /** E.g. `logs`. */
  readonly query: string;
  /** As they were given. */
  readonly options: object;
}

/** Where a page begins. */
export interface Position {
  /** The range of the first page. */
  readonly range: TimeRange;
  /** The key of the last row of the page before. */
  readonly key: readonly bigint[];
}

/** Options that are no part of what a cursor is bound to; the range is in it as it was read. */
const MAY_CHANGE: ReadonlySet<string> = new Set(["limit", "cursor", "since", "until", "lastMs"]);
const DIGEST_CHARACTERS = 16;
/** A key has a handful of numbers. */
const MAX_CURSOR_LENGTH = 1_000;

/**
 * The cursor behind a row.
 *
 * @example There and back
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const question = { query: "logs", options: { text: "timeout" } };
 * const position = { range: { since: 0n, until: 9n }, key: [5n, 0n] };
 * const cursor = cursorOf(question, position);
 * assert.deepEqual(positionOf(question, cursor, 2), position);
 * ```
 */
export function cursorOf(question: Question, { range, key }: Position): string {
  const numbers = [range.since, range.until, ...key].join(" ");
  return Buffer.from(digestOf(question, numbers) + numbers).toString("base64url");
}

/**
 * What a cursor says.
 *
 * @param keyLength How many numbers the key has to have.
 * @throws {QueryError} It is damaged, of another question, or of another range than is given.
 */
export function positionOf(question: Question, cursor: string, keyLength: number): Position {
  const text = cursor.length > MAX_CURSOR_LENGTH
    ? ""
    : Buffer.from(cursor, "base64url").toString("latin1");
  const numbers = text.slice(DIGEST_CHARACTERS);
  if (
    text.slice(0, DIGEST_CHARACTERS) !== digestOf(question, numbers) ||
    !/^\d{1,20}( -?\d{1,20})+$/.test(numbers) ||
    numbers.split(" ").length !== keyLength + 2
  ) {
    throw new QueryError("cursor", cursor, "damaged, or from a query with other options");
  }
  const [since, until, ...key] = numbers.split(" ").map(BigInt);
  const range = { since: since!, until: until! };
  if (!isOf(range, question.options as RangeOptions)) {
    const own = `since ${range.since} and until ${range.until}`;
    throw new QueryError("cursor", cursor, `of another range: leave it out, or say ${own}`);
  }
  return { range, key };
}

/** Whether a range is what options say of it. */
function isOf(range: TimeRange, { since, until, lastMs }: RangeOptions): boolean {
  if (since !== undefined && since !== range.since) return false;
  if (until !== undefined && until !== range.until) return false;
  if (lastMs === undefined) return true;
  const start = range.until - BigInt(lastMs) * 1_000_000n;
  return range.since === (start < 0n ? 0n : start);
}

/** What a question has besides its range and its place. */
function digestOf({ query, options }: Question, numbers: string): string {
  const asked = Object.entries(options).filter(([name]) => !MAY_CHANGE.has(name));
  const text = JSON.stringify([query, canonical(Object.fromEntries(asked)), numbers]);
  return createHash("sha256").update(text).digest("hex").slice(0, DIGEST_CHARACTERS);
}

/** The same for options that mean the same: sorted by name, without those that are not set. */
function canonical(value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, member]) => [name, canonical(member)]);
}
