/**
 * The command line of the collector: what was asked for, with which settings. Flags win over the
 * environment, the environment over defaults.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";

/** What the collector can be asked to do. */
export type Command = "serve" | "migrate" | "maintain" | "stats" | "query";

/** What the command line and the environment say. */
export interface Settings {
  readonly command: Command;
  /** The statement of `query sql`, empty for other commands. */
  readonly sql: string;
  /** Print rows as JSON even on a terminal. */
  readonly json: boolean;
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 is any free one. */
  readonly port: number;
  /** The URL of a Postgres server; undefined for the embedded database. */
  readonly database: string | undefined;
  /** The folder of the embedded database. */
  readonly dataDir: string;
  /** The origin whose pages may send, or `*`. */
  readonly corsOrigin: string | undefined;
  /** What clients have to send. */
  readonly token: string | undefined;
  /** The width of partitions; undefined to choose it by the retention. */
  readonly partition: "hour" | "day" | "week" | "month" | undefined;
  /** How long telemetry is kept. */
  readonly retentionDays: number;
  /** How long the breaker leaves the database alone. */
  readonly breakerCooldownMs: number;
}

/** The command line or the environment says what cannot be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A setting that takes a value: its flag is its key. */
interface Flag {
  readonly value: string;
  readonly env: string;
  readonly about: string;
  readonly schema: z.ZodType;
  /** Never shown in an error. */
  readonly secret?: true;
}

const whole = (min: number, max: number) =>
  z.string().regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

const text = z.string().min(1, "must not be empty");

const FLAGS = {
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
  "data-dir": {
    value: "DIR",
    env: "OTEL_STORAGE_DATA_DIR",
    about: "folder of the embedded database (./data)",
    schema: text.default("./data"),
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
    schema: z.enum(["hour", "day", "week", "month"], "must be hour, day, week or month").optional(),
  },
  retention: {
    value: "DAYS",
    env: "OTEL_STORAGE_RETENTION_DAYS",
    about: "how long telemetry is kept (30)",
    schema: whole(1, 3650).default(30),
  },
  "breaker-cooldown": {
    value: "MS",
    env: "OTEL_STORAGE_BREAKER_COOLDOWN_MS",
    about: "how long a failing database is left alone (60000)",
    schema: whole(1, 3_600_000).default(60_000),
  },
} as const satisfies Record<string, Flag>;

/** What `--help` prints. */
export const HELP: string = `\
Receives OpenTelemetry over OTLP/HTTP and keeps it in Postgres.

Usage: collector [serve]        receive until SIGINT or SIGTERM
       collector migrate        bring the database to this version's schema
       collector maintain       make partitions ahead, seal closed ones, drop expired ones
       collector stats          print numbers about the store
       collector query sql SQL  print the rows of a query that reads

Options, each also by the environment variable behind it:
${
  Object.entries<Flag>(FLAGS).map(([name, { value, env, about }]) =>
    `  ${`--${name} ${value}`.padEnd(24)} ${about}\n${" ".repeat(27)}${env}\n`
  ).join("")
}
  --json                   print rows as JSON, one a line, also on a terminal
  -h, --help               print this
  --version                print the version
`;

/**
 * Reads the command line.
 *
 * @param args What stands behind the name of the script.
 * @param env Reads a variable of the environment; empty ones count as absent.
 * @returns The settings, or what is to be printed instead.
 * @throws {UsageError} Naming the argument, the flag or the variable, and its value unless secret.
 */
export function readSettings(
  args: readonly string[],
  env: (name: string) => string | undefined,
): Settings | "help" | "version" {
  const { values, positionals } = parse(args);
  if (values.help) return "help";
  if (values.version) return "version";
  const command = readCommand(positionals);
  const setting = <Name extends keyof typeof FLAGS>(name: Name) =>
    readSetting(name, values[name] as string | undefined, env);
  const settings: Settings = {
    ...command,
    json: values.json === true,
    host: setting("host"),
    port: setting("port"),
    database: setting("database"),
    dataDir: setting("data-dir"),
    corsOrigin: setting("cors-origin"),
    token: setting("token"),
    partition: setting("partition"),
    retentionDays: setting("retention"),
    breakerCooldownMs: setting("breaker-cooldown"),
  };
  if (settings.command === "serve") checkReach(settings);
  return settings;
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs> {
  const names = Object.keys(FLAGS);
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    // Its first sentence says which option; the others are about other commands than ours.
    const [reason] = (error as Error).message.split(/\.?(?:\n|$)|\. /);
    throw new UsageError(`Cannot read the command line: ${lowerFirst(reason!)}`, { cause: error });
  }
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

function readCommand(positionals: readonly string[]): { command: Command; sql: string } {
  const [command = "serve", ...rest] = positionals;
  switch (command) {
    case "serve":
    case "migrate":
    case "maintain":
    case "stats":
      if (rest[0] === undefined) return { command, sql: "" };
      throw new UsageError(
        `Cannot read the command line: ${command} takes no argument, got "${rest[0]}"`,
      );
    case "query": {
      const [kind, sql, ...more] = rest;
      if (kind === "sql" && sql !== undefined && sql.trim() !== "" && more.length === 0) {
        return { command, sql };
      }
      throw new UsageError(
        "Cannot read the command line: query takes the word sql and one statement in quotes",
      );
    }
    default:
      throw new UsageError(
        `Cannot read the command line: unknown command "${command}"; ` +
          "there are serve, migrate, maintain, stats and query",
      );
  }
}

function readSetting<Name extends keyof typeof FLAGS>(
  name: Name,
  flag: string | undefined,
  env: (name: string) => string | undefined,
): z.output<(typeof FLAGS)[Name]["schema"]> {
  const { schema, env: variable, secret }: Flag = FLAGS[name];
  const value = flag ?? (env(variable) || undefined);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as z.output<(typeof FLAGS)[Name]["schema"]>;
  const where = flag === undefined ? variable : `--${name}`;
  const shown = secret ? "" : ` "${value}"`;
  throw new UsageError(`Cannot use ${where}${shown}: ${parsed.error.issues[0]!.message}`);
}

/** Whoever can reach the port can write and, through the database, read. */
function checkReach({ host, token }: Settings): void {
  if (token !== undefined || /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host)) return;
  throw new UsageError(
    `Cannot listen on ${host} without a token: set --token or OTEL_STORAGE_TOKEN, ` +
      "or listen on 127.0.0.1",
  );
}
