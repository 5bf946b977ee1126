/**
 * The settings of the collector that are one value each: their flags, variables and defaults.
 *
 * @module
 */

import { z } from "zod";
import { UsageError } from "./usage_error.ts";

/** Reads a variable of the environment. */
export type Env = (name: string) => string | undefined;

/** A setting that takes a value: its flag is its key. */
export interface Flag {
  /** What stands for its value in the help. */
  readonly value: string;
  /** The variable that says it, too. */
  readonly env: string;
  /** What it is, with its default in parentheses. */
  readonly about: string;
  /** Checks it and puts in the default. */
  readonly schema: z.ZodType;
  /** Never shown in an error. */
  readonly secret?: true;
}

const MIB = 1024 * 1024;

const whole = (min: number, max: number) =>
  z.string().regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

const oneOf = <const T extends readonly [string, string, ...string[]]>(...values: T) =>
  z.enum(values, `must be ${values.slice(0, -1).join(", ")} or ${values.at(-1)}`);

const text = z.string().min(1, "must not be empty");

/** Every setting of one value, in the order of the help. */
export const FLAGS = {
  host: {
    value: "HOST",
    env: "OTEL_STORAGE_HOST",
    about: "address to listen on (127.0.0.1)",
    schema: text.default("127.0.0.1"),
  },
  port: {
    value: "PORT",
    env: "OTEL_STORAGE_PORT",
    about: "port to listen on, 0 for any free one (4318)",
    schema: whole(0, 65_535).default(4318),
  },
  database: {
    value: "URL",
    env: "DATABASE_URL",
    about: "Postgres server (embedded PGlite in <data-dir>/pglite)",
    schema: z.string().regex(/^postgres(ql)?:\/\//, "must be a postgres:// URL").optional(),
    secret: true,
  },
  "reader-database": {
    value: "URL",
    env: "OTEL_STORAGE_READER_DATABASE_URL",
    about: "the same server for `query sql`, as a role that may only read (one is made)",
    schema: z.string().regex(/^postgres(ql)?:\/\//, "must be a postgres:// URL").optional(),
    secret: true,
  },
  "data-dir": {
    value: "DIR",
    env: "OTEL_STORAGE_DATA_DIR",
    about: "folder of the journal and of the embedded database (./data)",
    schema: text.default("./data"),
  },
  "forward-overflow": {
    value: "POLICY",
    env: "OTEL_STORAGE_FORWARD_OVERFLOW",
    about: "refuse requests or skip records when the journal is full (refuse)",
    schema: oneOf("refuse", "skip").default("refuse"),
  },
  "forward-from": {
    value: "PLACE",
    env: "OTEL_STORAGE_FORWARD_FROM",
    about: "where a new destination begins in the journal: head or oldest (head)",
    schema: oneOf("head", "oldest").default("head"),
  },
  "forward-compression": {
    value: "NAME",
    env: "OTEL_STORAGE_FORWARD_COMPRESSION",
    about: "compression of what is forwarded: none or gzip (none)",
    schema: oneOf("none", "gzip").default("none"),
  },
  "journal-max-bytes": {
    value: "N",
    env: "OTEL_STORAGE_JOURNAL_MAX_BYTES",
    about: "bytes of the journal; one request may go over it (1073741824)",
    schema: whole(MIB, 999_999_999_999_999).default(1024 * MIB),
  },
  "breaker-cooldown": {
    value: "MS",
    env: "OTEL_STORAGE_BREAKER_COOLDOWN_MS",
    about: "how long a failing destination or database is left alone (60000)",
    schema: whole(1, 3_600_000).default(60_000),
  },
  "attempt-timeout": {
    value: "MS",
    env: "OTEL_STORAGE_ATTEMPT_TIMEOUT_MS",
    about: "how long one attempt of a delivery may take (30000)",
    schema: whole(100, 600_000).default(30_000),
  },
  "cors-origin": {
    value: "ORIGIN",
    env: "OTEL_STORAGE_CORS_ORIGIN",
    about: "origin whose web pages may send, or * (none)",
    schema: z.string().refine(
      (origin) => origin === "*" || URL.parse(origin)?.origin === origin,
      "must be an origin such as https://example.org, or *",
    ).optional(),
  },
  token: {
    value: "TOKEN",
    env: "OTEL_STORAGE_TOKEN",
    about: "what clients send as Authorization: Bearer TOKEN (none)",
    schema: z.string().regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces").optional(),
    secret: true,
  },
  partition: {
    value: "WIDTH",
    env: "OTEL_STORAGE_PARTITION",
    about: "hour, day, week or month (day, wider for long retentions)",
    schema: oneOf("hour", "day", "week", "month").optional(),
  },
  retention: {
    value: "DAYS",
    env: "OTEL_STORAGE_RETENTION_DAYS",
    about: "how long telemetry is kept (30)",
    schema: whole(1, 3650).default(30),
  },
} as const satisfies Record<string, Flag>;

/** The flag of a setting of one value. */
export type FlagName = keyof typeof FLAGS;

/**
 * Reads one setting: the flag wins over the environment, that over the default.
 *
 * @param flag What the command line says, if it does.
 * @param env Empty variables count as absent.
 * @throws {UsageError} Naming the flag or the variable, and the value unless it is secret.
 */
export function readFlag<Name extends FlagName>(
  name: Name,
  flag: string | undefined,
  env: Env,
): z.output<(typeof FLAGS)[Name]["schema"]> {
  const { schema, env: variable, secret }: Flag = FLAGS[name];
  const value = flag ?? (env(variable) || undefined);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as z.output<(typeof FLAGS)[Name]["schema"]>;
  const where = flag === undefined ? variable : `--${name}`;
  const shown = secret ? "" : ` "${value}"`;
  throw new UsageError(`Cannot use ${where}${shown}: ${parsed.error.issues[0]!.message}`);
}
