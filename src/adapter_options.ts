/**
 * The settings of the adapter: what there is, what is allowed, what is meant when nothing is said.
 *
 * @module
 */

import { inspect } from "node:util";
import * as z from "zod";
import type { GivenClient } from "./postgres/connect.ts";
import type { PartitionWidth } from "./postgres/partition_width.ts";

/** Settings of `OTelStorageAdapter`. One of the first three says where the database is. */
export interface OTelStorageOptions {
  /** A `postgres://` or `postgresql://` URL. */
  readonly connectionString?: string;
  /** The folder of an embedded PGlite, or `memory://`. Only one process may have it open. */
  readonly pgliteDir?: string;
  /**
   * A client of yours: a `Pool` of `npm:pg`, a PGlite, an `npm:postgres` client or a `Pool` of
   * `@db/postgres`. It stays open when the adapter is closed.
   */
  readonly client?: GivenClient;
  /** The width of partitions. @default the finest from a day up that makes fewer than 50 */
  readonly partition?: PartitionWidth;
  /** How long telemetry is kept, in days, 1 to 3,650. @default {30} */
  readonly retentionDays?: number;
  /** How often a batch is tried before its requests are refused, 1 to 10. @default {3} */
  readonly maxRetries?: number;
  /** How long one try may take, in milliseconds, 100 to 600,000. @default {30_000} */
  readonly attemptTimeoutMs?: number;
  /** Batches that fail in a row before the database is left alone for a while, 1 to 100. @default {5} */
  readonly circuitBreakerThreshold?: number;
  /** How long that while is, in milliseconds, 1 to 3,600,000. @default {60_000} */
  readonly circuitBreakerCooldownMs?: number;
  /** Bytes of rows that wait or are being stored, at least 1 MiB. @default {67_108_864} */
  readonly maxBufferBytes?: number;
  /** Records that wait or are being stored, at least 1. @default {500_000} */
  readonly maxBufferRecords?: number;
  /** How long a request waits behind others before it is refused, in milliseconds. @default {30_000} */
  readonly maxBufferAgeMs?: number;
  /** How long a request waits for room in a full buffer, in milliseconds. @default {5_000} */
  readonly maxRoomWaitMs?: number;
  /** How long `close` waits for what is to be stored, in milliseconds, to 600,000. @default {8_000} */
  readonly closeGraceMs?: number;
}

/** The longest wait a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const optionsSchema = z.strictObject({
  connectionString: z.string().regex(/^postgres(ql)?:\/\//, "has to be a postgres:// URL")
    .optional(),
  pgliteDir: z.string().min(1).optional(),
  client: z.custom<GivenClient>(
    (value) => typeof value === "function" || (typeof value === "object" && value !== null),
    "has to be a client",
  ).optional(),
  partition: z.enum(["hour", "day", "week", "month"]).optional(),
  retentionDays: z.number().int().min(1).max(3650).default(30),
  maxRetries: z.number().int().min(1).max(10).default(3),
  attemptTimeoutMs: z.number().int().min(100).max(600_000).default(30_000),
  circuitBreakerThreshold: z.number().int().min(1).max(100).default(5),
  circuitBreakerCooldownMs: z.number().int().min(1).max(3_600_000).default(60_000),
  maxBufferBytes: z.number().int().min(1 << 20).default(64 << 20),
  maxBufferRecords: z.number().int().min(1).default(500_000),
  maxBufferAgeMs: z.number().int().min(1).max(MAX_TIMER_MS).default(30_000),
  maxRoomWaitMs: z.number().int().min(0).max(MAX_TIMER_MS).default(5_000),
  closeGraceMs: z.number().int().min(0).max(600_000).default(8_000),
});

/** The options with their defaults. */
export type AdapterSettings = Readonly<z.infer<typeof optionsSchema>>;

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value, but no
 * connection string, which may hold a password.
 */
export function adapterSettings(options: OTelStorageOptions): AdapterSettings {
  const { data, error } = optionsSchema.safeParse(options);
  if (error !== undefined) {
    const { path: [name], message } = error.issues[0]!;
    throw refusal(
      message,
      name,
      (options as Record<PropertyKey, unknown> | undefined)?.[name ?? ""],
    );
  }
  const { connectionString, pgliteDir, client } = data;
  const given = [connectionString, pgliteDir, client].filter((value) => value !== undefined);
  if (given.length === 1) return data;
  throw refusal(
    `give one of connectionString, pgliteDir and client, not ${
      given.length === 0 ? "none" : given.length
    }`,
  );
}

function refusal(message: string, name?: PropertyKey, value?: unknown): RangeError {
  const secret = name === "connectionString" || name === "client";
  const shown = secret ? "" : `: ${inspect(value, { depth: 0 })}`;
  const what = name === undefined ? "" : ` with '${String(name)}'${shown}`;
  return new RangeError(`Cannot create OTelStorageAdapter${what} (${message})`);
}
