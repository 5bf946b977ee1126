/**
 * What is wrong with a record that was given as a plain object.
 *
 * @module
 */

import { inspect } from "node:util";
import type * as z from "zod";

/** A record that is not stored, because of one of its fields. */
export class RecordError extends TypeError {
  /** Always `RecordError`. */
  override readonly name = "RecordError";
  /** Which field: its name, or a path such as `attributes.user.id`. Empty for the record itself. */
  readonly field: string;
  /** Which one of a list it is, from 0; undefined where one record was given. */
  readonly index: number | undefined;

  /**
   * Names the field and shows its value, shortened.
   *
   * @param what What could not be stored: `span`, `log record` or `metric`.
   * @param fault What is wrong with which field.
   * @param index Which one of a list it is.
   */
  constructor(what: string, { field, value, why }: Fault, index?: number) {
    const which = index === undefined ? `the ${what}` : `${what} ${index}`;
    const shown = value === undefined ? "" : `: ${inspect(value, SHOWN)}`;
    const where = field === "" ? "" : ` with '${field}'`;
    super(`Cannot store ${which}${where}${shown} (${why})`);
    this.field = field;
    this.index = index;
  }
}

/** What is wrong with a field. */
export interface Fault {
  /** Its name or path; empty for the whole. */
  readonly field: string;
  /** What it holds; undefined when that is nothing. */
  readonly value: unknown;
  /** What it has to be. */
  readonly why: string;
}

/** Ends the conversion of a record; whoever knows which one it is makes a {@linkcode RecordError}. */
export class FieldFault extends Error {
  /** What is wrong. */
  readonly fault: Fault;

  /** @param why What the field has to be. */
  constructor(field: string, value: unknown, why: string) {
    super(why);
    this.fault = { field, value, why };
  }
}

const SHOWN = { depth: 0, maxStringLength: 100, maxArrayLength: 5, breakLength: Infinity } as const;

/** The largest record, in bytes of protobuf: what a request may have over HTTP. */
const MAX_BYTES = 16 << 20;

/**
 * Checks a record and makes a request of it.
 *
 * @param what What it is, for the message.
 * @param schema What it has to look like.
 * @param encode Makes the request in protobuf; it may throw a {@linkcode FieldFault}.
 * @param data What was given.
 * @param index Which one of a list it is.
 * @throws {RecordError} A field is missing, unknown or wrong, or the record takes more than 16 MiB.
 */
export function encodeRecord<D>(
  what: string,
  schema: z.ZodType<D>,
  encode: (data: D) => Uint8Array,
  data: unknown,
  index?: number,
): Uint8Array {
  const parsed = schema.safeParse(data);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : issue.path;
    const value = path.reduce<unknown>(
      (from, name) => (Object(from) as Record<PropertyKey, unknown>)[name],
      data,
    );
    const why = issue.code === "unrecognized_keys" ? "is no field of it" : issue.message;
    throw new RecordError(what, { field: path.map(String).join("."), value, why }, index);
  }
  try {
    const body = encode(parsed.data);
    if (body.length <= MAX_BYTES) return body;
    throw new FieldFault("", undefined, `it takes ${body.length} bytes of at most ${MAX_BYTES}`);
  } catch (error) {
    if (!(error instanceof FieldFault)) throw error;
    throw new RecordError(what, error.fault, index);
  }
}
