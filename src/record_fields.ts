/**
 * The fields that spans, log records and metrics have in common when they are given as plain objects:
 * times, ids, attributes and the service.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import * as z from "zod";
import { MAX_VALUE_LEVEL } from "./otlp_fields.ts";
import type { AnyValue, KeyValue, Resource } from "./record.ts";
import { FieldFault } from "./record_error.ts";
import { parseInstant } from "./time_argument.ts";

/**
 * A moment: a `Date`; an RFC 3339 text, which has to say its zone (`Z` or an offset) and may go down to
 * nanoseconds; a number of milliseconds, or a bigint of nanoseconds, since 1970.
 *
 * Numbers before March 1973 are refused: they are seconds, or another unit, taken for the right one.
 */
export type TimeValue = Date | string | number | bigint;

/**
 * The value of an attribute. Integers that a number holds exactly are stored as `int64`, and so are
 * bigints; other numbers as doubles. `null` is a value that is there and empty; what is `undefined` is left
 * out.
 */
export type AttributeValue =
  | string
  | number
  | boolean
  | bigint
  | Uint8Array
  | null
  | undefined
  | readonly AttributeValue[]
  | { readonly [key: string]: AttributeValue };

/** Attributes by name. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

const NANOS_PER_MS = 1_000_000n;
const MAX_NANOS = 2n ** 64n - 1n;
/** The 3rd of March 1973: what is less was meant in a larger unit. */
const MIN_NUMBER_NANOS = 10n ** 17n;
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/** Of times. */
export const TIME: z.ZodType<TimeValue> = z.custom<TimeValue>(
  (value) => value instanceof Date || ["string", "number", "bigint"].includes(typeof value),
  "has to be a Date, an RFC 3339 text, milliseconds or bigint nanoseconds since 1970",
);

/** Of trace ids, in the form in which they are stored. */
export const TRACE_ID: z.ZodType<string> = id(32);
/** Of span ids, in the form in which they are stored. */
export const SPAN_ID: z.ZodType<string> = id(16);

/** Of attributes; their values are checked by {@linkcode keyValues}. */
export const ATTRIBUTES: z.ZodType<Attributes> = z.custom<Attributes>(
  isPlainObject,
  "has to be a plain object",
);

/** Of names. */
export const NAME: z.ZodType<string> = z.string("has to be a text").min(1, "must not be empty");

function id(digits: number): z.ZodType<string> {
  return z.string("has to be a text")
    .regex(
      new RegExp(`^(?!0+$)[0-9a-fA-F]{${digits}}$`),
      `has to be ${digits} hex digits, not all 0`,
    )
    .transform((hex) => hex.toLowerCase());
}

/** A new random id of that many hex digits, not all 0. */
export function randomId(digits: 16 | 32): string {
  const hex = randomBytes(digits / 2).toString("hex");
  return /^0+$/.test(hex) ? randomId(digits) : hex;
}

/**
 * A time in nanoseconds since 1970.
 *
 * @throws {FieldFault} It is none, or before 1970 or after 2554.
 */
export function nanosOf(field: string, value: TimeValue): bigint {
  const nanos = nanosIn(field, value);
  if (nanos === undefined) {
    const why = typeof value === "string"
      ? "has to be an RFC 3339 time with its zone, such as 2026-01-31T12:00:00Z"
      : "has to be a time";
    throw new FieldFault(field, value, why);
  }
  return inRange(field, nanos, value);
}

/**
 * Nanoseconds since 1970 that a time of OTLP can be.
 *
 * @param value What they were made of, for the message.
 * @throws {FieldFault} They are before 1970 or after 2554.
 */
export function inRange(field: string, nanos: bigint, value: unknown): bigint {
  if (nanos >= 0n && nanos <= MAX_NANOS) return nanos;
  throw new FieldFault(field, value, "has to be from 1970 to 2554");
}

function nanosIn(field: string, value: TimeValue): bigint | undefined {
  if (typeof value === "string") return parseInstant(value);
  if (value instanceof Date) return fromMs(value.getTime());
  const nanos = typeof value === "bigint" ? value : fromMs(value);
  if (nanos !== undefined && nanos < MIN_NUMBER_NANOS) {
    const unit = typeof value === "bigint" ? "nanoseconds" : "milliseconds";
    throw new FieldFault(field, value, `is before March 1973: has to be in ${unit} since 1970`);
  }
  return nanos;
}

function fromMs(ms: number): bigint | undefined {
  if (!Number.isFinite(ms)) return undefined;
  const whole = Math.floor(ms);
  return BigInt(whole) * NANOS_PER_MS + BigInt(Math.round((ms - whole) * 1e6));
}

let lastNow = 0n;

/**
 * Now, in nanoseconds since 1970; later each time, so that two records of one moment are not taken for
 * one that was sent twice.
 */
export function nowNanos(): bigint {
  const now = BigInt(Date.now()) * NANOS_PER_MS;
  return lastNow = now > lastNow ? now : lastNow + 1n;
}

/** The attributes in OTLP's form. What was built here is plain: none of it has been sent before. */
export function keyValues(field: string, attributes: Attributes): KeyValue[] {
  return entriesOf(field, attributes, 1);
}

function entriesOf(
  field: string,
  map: Readonly<Record<string, AttributeValue>>,
  level: number,
): KeyValue[] {
  return Object.entries(map)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ key, value: anyValue(`${field}.${key}`, value, level) }));
}

/**
 * A value in OTLP's form.
 *
 * @param field What it is called where it is refused.
 * @param level How deep it is nested, from 1.
 * @throws {FieldFault} It is none, an integer beyond 64 bits, or nested too deeply.
 */
export function anyValue(field: string, value: AttributeValue, level = 1): AnyValue {
  if (level > MAX_VALUE_LEVEL) {
    throw new FieldFault(field, value, `has to be nested up to ${MAX_VALUE_LEVEL} levels`);
  }
  switch (typeof value) {
    case "string":
      return { stringValue: value };
    case "boolean":
      return { boolValue: value };
    case "bigint":
      if (value < INT64.min || value > INT64.max) {
        throw new FieldFault(field, value, "has to be an integer of 64 bits");
      }
      return { intValue: value };
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? { intValue: BigInt(value) }
        : { doubleValue: value };
  }
  if (value === null || value === undefined) return {};
  if (value instanceof Uint8Array) return { bytesValue: value };
  if (isList(value)) {
    const values = Array.from(value, (one, n) => anyValue(`${field}.${n}`, one, level + 1));
    return { arrayValue: { values } };
  }
  if (!isPlainObject(value)) {
    const why =
      "has to be text, a number, a boolean, bytes, null, or a list or plain object of these";
    throw new FieldFault(field, value, why);
  }
  return { kvlistValue: { values: entriesOf(field, value, level + 1) } };
}

function isList(value: unknown): value is readonly AttributeValue[] {
  return Array.isArray(value);
}

function isPlainObject(value: unknown): value is Readonly<Record<string, AttributeValue>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/**
 * Adds an attribute for a field that OTLP has no place for.
 *
 * @throws {FieldFault} The attributes say something else.
 */
export function withAttribute(
  attributes: Attributes,
  name: string,
  value: AttributeValue,
): Attributes {
  if (value === undefined) return attributes;
  const own = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (own !== undefined && own !== value) {
    throw new FieldFault(name, value, `contradicts the attribute '${name}'`);
  }
  return { ...attributes, [name]: value };
}

/** What produced a record: a service, or nothing that is known. */
export function resourceOf(service: string | undefined): { resource?: Resource } {
  if (service === undefined) return {};
  const attributes = [{ key: "service.name", value: { stringValue: service } }];
  return { resource: { attributes, droppedAttributesCount: 0, entityRefs: [] } };
}
