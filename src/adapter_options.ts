/**
 * The settings of the adapter: what there is, what is allowed, what is meant when nothing is said.
 *
 * @module
 */

import * as z from "zod";
import type { AdapterEvent } from "./adapter_events.ts";
import { optionError, refusedOption } from "./option_error.ts";
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
  /**
   * A folder for the journal and the dead letters, made when absent; one process at a time. With it a
   * request is acknowledged when it is synced there, whether the database can be reached or not.
   *
   * @default {undefined} The journal is in memory: a request is acknowledged when it is committed
   */
  readonly dataDir?: string;
  /** Bytes of the journal on disk, at least 1 MiB. @default {1_073_741_824} */
  readonly journalMaxBytes?: number;
  /** Where else all that is received goes, as OTLP/HTTP. Needs `dataDir`. @default none */
  readonly forwards?: readonly ForwardSettings[];
  /**
   * Segments of the journal stay though all that are configured here have passed them: for a process
   * that may not know every destination. @default {false}
   */
  readonly retainJournal?: boolean;
  /** The width of partitions. @default the finest from a day up that makes fewer than 50 */
  readonly partition?: PartitionWidth;
  /** How long telemetry is kept, in days, 1 to 3,650. @default {30} */
  readonly retentionDays?: number;
  /** Attempts in a row that count as one failure for the breaker, 1 to 10. @default {3} */
  readonly maxRetries?: number;
  /**
   * How long one attempt to store may take, and one request to a forward if that is less than 10 s; in
   * milliseconds, 100 to 600,000. @default {30_000}
   */
  readonly attemptTimeoutMs?: number;
  /** Failures in a row after which a destination is left alone for a while, 1 to 100. @default {5} */
  readonly circuitBreakerThreshold?: number;
  /** How long that while is, in milliseconds, 1 to 3,600,000. @default {60_000} */
  readonly circuitBreakerCooldownMs?: number;
  /** Records of `store…` that go on together, 10 to 1,000. @default {100} */
  readonly batchSize?: number;
  /** How long a record of `store…` waits for others, in ms, 1,000 to 60,000. @default {5_000} */
  readonly batchIntervalMs?: number;
  /**
   * Bytes of a journal in memory, and of what `store…` has buffered besides; at least 1 MiB.
   *
   * @default {67_108_864}
   */
  readonly maxBufferBytes?: number;
  /**
   * How long a request waits for the database before it is refused, in milliseconds, where the journal
   * is in memory. It stays there: sent again, it is not stored twice. @default {30_000}
   */
  readonly maxBufferAgeMs?: number;
  /**
   * How long a request waits for room in a full journal, and a record of `store…` for room in a full
   * buffer, before it is refused; in milliseconds. @default {5_000}
   */
  readonly maxRoomWaitMs?: number;
  /** How long `close` waits for what is to be stored, in milliseconds, to 600,000. @default {8_000} */
  readonly closeGraceMs?: number;
  /** Told of what is worth a line in a log; who logs limits the rate. @default nobody */
  readonly onEvent?: (event: AdapterEvent) => void;
}

/** An OTLP destination. */
export interface ForwardSettings {
  /** Up to 64 of `A-Z a-z 0-9 . _ -`, not `postgres`. What is delivered is remembered by it. */
  readonly name: string;
  /** The base URL, `http:` or `https:`; `/v1/<signal>` is appended to its path. */
  readonly url: string;
  /** Sent with each request and never written anywhere. @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** Compress bodies. @default {false} */
  readonly gzip?: boolean;
  /** Where it starts in the journal when it is new. @default {"head"} */
  readonly from?: "head" | "oldest";
  /**
   * What happens when the journal is full because it does not keep up: requests are refused, or the
   * older half of what it lacks is skipped, and counted. @default {"refuse"}
   */
  readonly overflow?: "refuse" | "skip";
  /** Where this process listens itself: a URL that leads there is refused. @default unknown */
  readonly own?: {
    /** The name or address listened on. */
    readonly host: string;
    /** The port listened on. */
    readonly port: number;
    /** Further names and addresses of this machine. */
    readonly addresses?: readonly string[];
  };
}

/** The longest wait a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const forwardSchema = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/, "has to be up to 64 of A-Z a-z 0-9 . _ -")
    .refine((name) => name !== "postgres", "is the name of the database"),
  // What is in them is for the destination to check, which shows none of it.
  url: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  gzip: z.boolean().default(false),
  from: z.enum(["head", "oldest"]).default("head"),
  overflow: z.enum(["refuse", "skip"]).default("refuse"),
  own: z.strictObject({
    host: z.string(),
    port: z.number(),
    addresses: z.array(z.string()).readonly().default([]),
  }).optional(),
});

const optionsSchema = z.strictObject({
  connectionString: z.string().regex(/^postgres(ql)?:\/\//, "has to be a postgres:// URL")
    .optional(),
  pgliteDir: z.string().min(1).optional(),
  client: z.custom<GivenClient>(
    (value) => typeof value === "function" || (typeof value === "object" && value !== null),
    "has to be a client",
  ).optional(),
  dataDir: z.string().min(1).optional(),
  journalMaxBytes: z.number().int().min(1 << 20).default(1 << 30),
  forwards: z.array(forwardSchema).readonly().default([]),
  retainJournal: z.boolean().default(false),
  partition: z.enum(["hour", "day", "week", "month"]).optional(),
  retentionDays: z.number().int().min(1).max(3650).default(30),
  maxRetries: z.number().int().min(1).max(10).default(3),
  attemptTimeoutMs: z.number().int().min(100).max(600_000).default(30_000),
  circuitBreakerThreshold: z.number().int().min(1).max(100).default(5),
  circuitBreakerCooldownMs: z.number().int().min(1).max(3_600_000).default(60_000),
  batchSize: z.number().int().min(10).max(1_000).default(100),
  batchIntervalMs: z.number().int().min(1_000).max(60_000).default(5_000),
  maxBufferBytes: z.number().int().min(1 << 20).default(64 << 20),
  maxBufferAgeMs: z.number().int().min(1).max(MAX_TIMER_MS).default(30_000),
  maxRoomWaitMs: z.number().int().min(0).max(MAX_TIMER_MS).default(5_000),
  closeGraceMs: z.number().int().min(0).max(600_000).default(8_000),
  onEvent: z.custom<(event: AdapterEvent) => void>(
    (value) => typeof value === "function",
    "has to be a function",
  ).default(() => () => {}).transform(harmless),
});

/** An observer that cannot throw into who tells it. */
function harmless(onEvent: (event: AdapterEvent) => void): (event: AdapterEvent) => void {
  return (event) => {
    try {
      onEvent(event);
    } catch (thrown) {
      console.error("OTelStorageAdapter: onEvent threw", thrown);
    }
  };
}

/** The options with their defaults. */
export type AdapterSettings = Readonly<z.infer<typeof optionsSchema>>;

/** What may hold a password. */
const SECRETS: ReadonlySet<PropertyKey> = new Set(["connectionString", "client", "url", "headers"]);
const ACTION = "create OTelStorageAdapter";

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RangeError} An option is unknown or out of range; the message names it and its value, but no
 * connection string and no header, which may hold a password.
 */
export function adapterSettings(options: OTelStorageOptions): AdapterSettings {
  const { data, error } = optionsSchema.safeParse(options);
  if (error !== undefined) throw refusedOption(ACTION, error, options, SECRETS);
  const { connectionString, pgliteDir, client, dataDir, forwards } = data;
  const given = [connectionString, pgliteDir, client].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw optionError(
      ACTION,
      `give one of connectionString, pgliteDir and client, not ${
        given.length === 0 ? "none" : given.length
      }`,
    );
  }
  if (forwards.length > 0 && dataDir === undefined) {
    throw optionError(ACTION, "forwards need a dataDir: what is not delivered yet is kept there");
  }
  const names = forwards.map(({ name }) => name);
  const twice = names.findIndex((name, n) => names.indexOf(name) !== n);
  if (twice >= 0) {
    throw optionError(ACTION, "there is one of this name already", ["forwards", twice, "name"]);
  }
  return data;
}
