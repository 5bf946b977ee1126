/**
 * The command line of the collector: what was asked for, with which settings. Flags win over the
 * environment, the environment over defaults.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";
import {
  type Command,
  COMMAND_OPTIONS,
  type CommandOption,
  type CommandValues,
  readCommand,
} from "./collector_command.ts";
import { type Env, FLAGS, readFlag } from "./collector_flags.ts";
import { type Forward, FORWARD_FLAGS, readForwards } from "./collector_forwards.ts";
import { QUESTION_FLAGS } from "./query_flags.ts";
import { UsageError } from "./usage_error.ts";

export type { Command, DeadLetterCommand, ReplayCommand } from "./collector_command.ts";
export type { Forward } from "./collector_forwards.ts";
export { HELP } from "./collector_help.ts";
export type { AskCommand } from "./query_flags.ts";
export { QUERY_HELP } from "./query_help.ts";
export { UsageError } from "./usage_error.ts";

/** What the command line and the environment say: the command and what belongs to every one. */
export type Settings = CollectorSettings & Command;

/** The settings of a collector. */
export interface CollectorSettings {
  /** Print JSON even on a terminal. */
  readonly json: boolean;
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 is any free one. */
  readonly port: number;
  /** The URL of a Postgres server; undefined for the embedded database. */
  readonly database: string | undefined;
  /** The folder of the journal, and of the embedded database. */
  readonly dataDir: string;
  /** Where to forward to, in the order they were said. */
  readonly forwards: readonly Forward[];
  /** What a full journal does that waits for a destination. */
  readonly forwardOverflow: "refuse" | "skip";
  /** Where a new destination begins in the journal. */
  readonly forwardFrom: "head" | "oldest";
  /** How forwarded bodies are compressed. */
  readonly forwardCompression: "none" | "gzip";
  /** Bytes of the journal. */
  readonly journalMaxBytes: number;
  /** How long a failing destination or database is left alone. */
  readonly breakerCooldownMs: number;
  /** How long one attempt of a delivery may take. */
  readonly readerDatabase: string | undefined;
  readonly attemptTimeoutMs: number;
  /** The origin whose pages may send, or `*`. */
  readonly corsOrigin: string | undefined;
  /** What clients have to send. */
  readonly token: string | undefined;
  /** The width of partitions; undefined to choose it by the retention. */
  readonly partition: "hour" | "day" | "week" | "month" | undefined;
  /** How long telemetry is kept. */
  readonly retentionDays: number;
}

/**
 * Reads the command line.
 *
 * @param args What stands behind the name of the script.
 * @param env Reads a variable of the environment; empty ones count as absent.
 * @param nowMs Now in ms since 1970, which `--since 2h` counts from.
 * @returns The settings, or what is to be printed instead.
 * @throws {UsageError} Naming the argument, the flag or the variable, and its value unless secret.
 */
export function readSettings(
  args: readonly string[],
  env: Env,
  nowMs: number = Date.now(),
): Settings | "help" | "query help" | "version" {
  const { values, positionals } = parse(args);
  if (values.help) return positionals[0] === "query" ? "query help" : "help";
  if (values.version) return "version";
  const command = readCommand(positionals, commandValues(values), nowMs);
  const setting = <Name extends keyof typeof FLAGS>(name: Name) =>
    readFlag(name, values[name] as string | undefined, env);
  const serves = command.command === "serve";
  const host = setting("host");
  const port = setting("port");
  const settings: Settings = {
    ...command,
    json: values.json === true,
    host,
    port,
    database: setting("database"),
    dataDir: setting("data-dir"),
    forwards: readForwards(
      {
        forward: values.forward as string[] | undefined,
        "forward-header": values["forward-header"] as string[] | undefined,
      },
      env,
      serves && port !== 0 ? { host, port } : undefined,
    ),
    forwardOverflow: setting("forward-overflow"),
    forwardFrom: setting("forward-from"),
    forwardCompression: setting("forward-compression"),
    journalMaxBytes: setting("journal-max-bytes"),
    breakerCooldownMs: setting("breaker-cooldown"),
    readerDatabase: setting("reader-database"),
    attemptTimeoutMs: setting("attempt-timeout"),
    corsOrigin: setting("cors-origin"),
    token: setting("token"),
    partition: setting("partition"),
    retentionDays: setting("retention"),
  };
  if (serves) checkReach(settings);
  return settings;
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs> {
  const commandOptions = Object.entries<CommandOption>(COMMAND_OPTIONS);
  const options: ParseArgsConfig["options"] = {
    ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, { type: "string" as const }])),
    ...Object.fromEntries(
      Object.keys(FORWARD_FLAGS).map((name) => [name, { type: "string" as const, multiple: true }]),
    ),
    ...Object.fromEntries([...QUESTION_FLAGS.values()].map(({ name, value, multiple }) => [
      name,
      { type: value === undefined ? "boolean" as const : "string" as const, multiple },
    ])),
    ...Object.fromEntries(commandOptions.map(([name, { value, multiple = false }]) => [
      name,
      { type: value === undefined ? "boolean" as const : "string" as const, multiple },
    ])),
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
  };
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    // Its first sentence says which option; the others are about other commands than ours.
    const [reason] = (error as Error).message.split(/\.?(?:\n|$)|\. /);
    throw new UsageError(`Cannot read the command line: ${lowerFirst(reason!)}`, { cause: error });
  }
}

/** Those that belong to commands. */
function commandValues(values: ReturnType<typeof parseArgs>["values"]): CommandValues {
  const names = new Set([...Object.keys(COMMAND_OPTIONS), ...QUESTION_FLAGS.keys()]);
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name)));
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** Whoever can reach the port can write and, through the database, read. */
function checkReach({ host, token }: CollectorSettings): void {
  if (token !== undefined || /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host)) return;
  throw new UsageError(
    `Cannot listen on ${host} without a token: set --token or OTEL_STORAGE_TOKEN, ` +
      "or listen on 127.0.0.1",
  );
}
