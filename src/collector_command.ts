/**
 * What the collector is asked to do: the words of its command line, and the options that belong to
 * one command alone.
 *
 * @module
 */

import { check, parseHeader } from "./collector_forwards.ts";
import type { LetterFilter } from "./dead_letters.ts";
import { FilterError, parseFilter } from "./filter.ts";
import { type AskCommand, QUESTION_FLAGS, readQuestion } from "./query_flags.ts";
import type { Signal } from "./record.ts";
import { parseTime, TIME_FORMS } from "./time_argument.ts";
import { UsageError } from "./usage_error.ts";

/** What the collector can be asked to do. */
export type Command =
  | { readonly command: "serve" | "migrate" | "maintain" | "stats" }
  /** `sql` is one statement. */
  | { readonly command: "query"; readonly sql: string }
  | AskCommand
  | DeadLetterCommand
  | ReplayCommand;

/** Which dead letters: those of the names, or without names those that `choice` lets through. */
export interface LetterChoice {
  /** As listed. */
  readonly names: readonly string[];
  /** Empty chooses all. */
  readonly choice: LetterFilter;
}

/** `dead-letters …`. */
export type DeadLetterCommand =
  & { readonly command: "dead-letters" }
  & (
    | { readonly action: "list"; readonly choice: LetterFilter }
    | { readonly action: "show"; readonly name: string }
    | { readonly action: "replay" | "drop" } & LetterChoice
  );

/** `replay …`: what is stored, sent to a destination. */
export interface ReplayCommand {
  /** Always `replay`. */
  readonly command: "replay";
  /** The base URL; `/v1/<signal>` is appended. */
  readonly to: string;
  /** Sent with each request. */
  readonly headers: Readonly<Record<string, string>>;
  /** From this time on, in ns since 1970. */
  readonly since: bigint | undefined;
  /** Before this time, in ns since 1970. */
  readonly until: bigint | undefined;
  /** Which signals, in this order. */
  readonly signals: readonly Signal[];
  /** A filter that can be parsed; empty chooses all. */
  readonly filter: string;
}

/** An option that belongs to some commands alone. */
export interface CommandOption {
  /** What stands for its value in the help; undefined when it takes none. */
  readonly value?: string;
  /** The commands it belongs to. */
  readonly of: readonly Command["command"][];
  /** What it is. */
  readonly about: string;
  /** May stand there several times. */
  readonly multiple?: true;
}

/** The options of commands. */
export const COMMAND_OPTIONS = {
  to: { value: "URL", of: ["replay"], about: "OTLP/HTTP base URL to send to" },
  header: { value: "K=V", of: ["replay"], about: "send this header; repeatable", multiple: true },
  since: {
    value: "T",
    of: ["replay"],
    about: "from then on: RFC 3339, ns or ms since 1970, or ago: 90m, 2h, 7d",
  },
  until: { value: "T", of: ["replay"], about: "before then, written likewise" },
  destination: { value: "NAME", of: ["dead-letters"], about: "only letters of this destination" },
  signal: {
    value: "SIGNAL",
    of: ["dead-letters", "replay"],
    about: "only traces, logs or metrics (all)",
  },
  reason: { value: "TEXT", of: ["dead-letters"], about: "only letters whose reason contains this" },
  limit: { value: "N", of: ["dead-letters"], about: "at most so many letters (list: 1000)" },
  all: { of: ["dead-letters"], about: "drop every letter" },
  filter: { value: "TEXT", of: ["replay"], about: "such as: service = shop and severity >= warn" },
} as const satisfies Record<string, CommandOption>;

/** The options of commands as they stand on the command line. */
export type CommandValues = {
  readonly [Name in keyof typeof COMMAND_OPTIONS]?: (typeof COMMAND_OPTIONS)[Name] extends
    { readonly multiple: true } ? readonly string[]
    : (typeof COMMAND_OPTIONS)[Name] extends { readonly value: string } ? string
    : boolean;
};

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];
const COMMANDS = ["serve", "migrate", "maintain", "stats", "query", "dead-letters", "replay"];

/**
 * Reads the command.
 *
 * @param words What stands on the command line besides options.
 * @param values The options that belong to commands.
 * @param nowMs Now, in ms since 1970.
 * @throws {UsageError} Naming the word or the option, and its value but for headers.
 */
export function readCommand(
  words: readonly string[],
  values: CommandValues,
  nowMs: number,
): Command {
  const [command = "serve", ...rest] = words;
  checkOptions(command, values);
  switch (command) {
    case "serve":
    case "migrate":
    case "maintain":
    case "stats":
      takesNothing(command, rest);
      return { command };
    case "query": {
      if (rest[0] !== "sql") return readQuestion(rest, values, nowMs);
      const [, sql, ...more] = rest;
      if (Object.keys(values).length > 0) {
        throw unreadable(`query sql takes no --${Object.keys(values)[0]}`);
      }
      if (sql !== undefined && sql.trim() !== "" && more.length === 0) return { command, sql };
      throw unreadable("query sql takes one statement in quotes");
    }
    case "dead-letters":
      return readDeadLetters(rest, values);
    case "replay":
      takesNothing(command, rest);
      return readReplay(values, nowMs);
    default:
      throw unreadable(
        `unknown command "${command}"; there are ${COMMANDS.slice(0, -1).join(", ")} and ` +
          COMMANDS.at(-1),
      );
  }
}

function unreadable(reason: string): UsageError {
  return new UsageError(`Cannot read the command line: ${reason}`);
}

function takesNothing(command: string, rest: readonly string[]): void {
  if (rest[0] === undefined) return;
  throw unreadable(`${command} takes no argument, got "${rest[0]}"`);
}

/** An option that says nothing to this command is a mistake about one of them. */
function checkOptions(command: string, values: CommandValues): void {
  if (!COMMANDS.includes(command)) return;
  for (const [name, { of }] of Object.entries<CommandOption>(COMMAND_OPTIONS)) {
    if (values[name as keyof CommandValues] === undefined) continue;
    if (of.some((owner) => owner === command)) continue;
    // Each question says itself which ones it takes.
    if (command === "query" && QUESTION_FLAGS.has(name)) continue;
    throw unreadable(`--${name} belongs to ${of.join(" and ")}, not to ${command}`);
  }
  if (command === "query") return;
  for (const name of QUESTION_FLAGS.keys()) {
    if (values[name as keyof CommandValues] === undefined || name in COMMAND_OPTIONS) continue;
    throw unreadable(`--${name} belongs to query, not to ${command}`);
  }
}

function readDeadLetters(words: readonly string[], values: CommandValues): DeadLetterCommand {
  const command = "dead-letters";
  const [action, ...names] = words;
  const choice = readChoice(values);
  const chosen = Object.keys(choice).map((name) => `--${name}`);
  if (values.all) chosen.push("--all");
  if (values.all && action !== "drop") throw unreadable("--all belongs to dead-letters drop");
  switch (action) {
    case "list":
      takesNothing("dead-letters list", names);
      return { command, action, choice };
    case "show":
      if (names.length !== 1) throw unreadable("dead-letters show takes the name of one letter");
      if (chosen.length > 0) throw unreadable(`dead-letters show takes no ${chosen[0]}`);
      return { command, action, name: names[0]! };
    case "replay":
    case "drop":
      if (names.length > 0 && chosen.length > 0) {
        throw unreadable(`dead-letters ${action} takes names or ${chosen[0]}, not both`);
      }
      // A limit says how many, not which.
      if (action === "drop" && names.length === 0 && !chosen.some((name) => name !== "--limit")) {
        throw unreadable(
          "dead-letters drop takes names, --destination, --signal, --reason or --all",
        );
      }
      return { command, action, names, choice };
    default:
      throw unreadable("dead-letters takes list, show NAME, replay [NAME…] or drop NAME…");
  }
}

function readChoice({ destination, signal, reason, limit }: CommandValues): LetterFilter {
  return {
    ...destination === undefined ? {} : { destination },
    ...signal === undefined ? {} : { signal: readSignal(signal) },
    ...reason === undefined ? {} : { reason },
    ...limit === undefined ? {} : { limit: readLimit(limit) },
  };
}

function readSignal(text: string): Signal {
  const signal = SIGNALS.find((signal) => signal === text);
  if (signal !== undefined) return signal;
  throw new UsageError(`Cannot use --signal "${text}": must be traces, logs or metrics`);
}

function readLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`Cannot use --limit "${text}": must be a whole number from 1 to 999999999`);
}

function readReplay(values: CommandValues, nowMs: number): ReplayCommand {
  const { to, signal, filter = "" } = values;
  if (to === undefined) throw unreadable("replay takes --to URL, where to send what is stored");
  const headers = readHeaders(values.header ?? []);
  check("--to", URL.parse(to)?.host ?? "", { url: to, headers });
  const since = readTime("since", values.since, nowMs);
  const until = readTime("until", values.until, nowMs);
  if (since !== undefined && until !== undefined && since >= until) {
    throw new UsageError(
      `Cannot use --since "${values.since}" with --until "${values.until}": there is no time between`,
    );
  }
  checkFilter(filter);
  return {
    command: "replay",
    to,
    headers,
    since,
    until,
    signals: signal === undefined ? SIGNALS : [readSignal(signal)],
    filter,
  };
}

function readHeaders(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const header = parseHeader(text);
    if (header !== undefined) return header;
    throw new UsageError("Cannot use --header: must be KEY=VALUE");
  }));
}

function readTime(
  name: "since" | "until",
  text: string | undefined,
  nowMs: number,
): bigint | undefined {
  if (text === undefined) return undefined;
  const time = parseTime(text, nowMs);
  if (time !== undefined) return time;
  throw new UsageError(`Cannot use --${name} "${text}": must be ${TIME_FORMS}`);
}

function checkFilter(text: string): void {
  try {
    parseFilter(text);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const reason = error.message.replace(/^Cannot read the filter/, "Cannot use --filter");
    throw new UsageError(`${reason}\n${pointAt(text, error.at)}`, { cause: error });
  }
}

/** The line of the text with a mark under a place of it. */
function pointAt(text: string, at: number): string {
  const from = Math.max(0, at - 60);
  const line = text.slice(from, at + 20).replace(/\s/g, " ");
  return `  ${line}\n  ${" ".repeat(at - from)}^`;
}
