/**
 * `query NAME …`: what can be asked, and the flags of each question. Both come from the table of the
 * API's paths: a question is called like the last part of its path, its flags like its parameters.
 *
 * @module
 */

import type { z } from "zod";
import { innerType, optionsFrom, TIMES } from "./api_parameters.ts";
import { API_QUERIES, type ApiQuery, pathParameter } from "./api_queries.ts";
import { parseDuration } from "./duration.ts";
import { LOG_TAIL, QueryError } from "./query.ts";
import { checked } from "./query/query_error.ts";
import { UsageError } from "./usage_error.ts";

/** A question of the command line. */
export interface Question {
  /** Such as `traces`, or `trace` for the one whose id is an argument. */
  readonly name: string;
  /** The parameter that stands behind the name, if one does. */
  readonly argument: string | undefined;
  /** How it is asked. */
  readonly api: ApiQuery;
}

/** `query NAME …`: one question, as it is to be asked. */
export interface AskCommand {
  /** Always `query`. */
  readonly command: "query";
  /** What is asked. */
  readonly ask: Question["name"];
  /** Its options, as {@linkcode ApiQuery.parameters} take them; times are nanoseconds already. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Of `trace`: its events and log records as well. */
  readonly logs: boolean;
  /** Of `logs`: those that come from now on, until it is ended. */
  readonly follow: boolean;
}

/** A flag of a question. */
export interface QuestionFlag {
  /** Without dashes. */
  readonly name: string;
  /** What stands for its value in the help; undefined when it takes none. */
  readonly value: string | undefined;
  /** May stand there several times. */
  readonly multiple: boolean;
  /** What it is. */
  readonly about: string;
}

/** Every question, in the order of the API. */
export const QUESTIONS: readonly Question[] = API_QUERIES.map((api) => {
  const argument = pathParameter(api.path);
  const parts = api.path.split("/");
  // One of the traces is a trace.
  const name = argument === undefined ? parts.at(-1)! : parts.at(-2)!.replace(/s$/, "");
  return { name, argument, api };
});

/** What changes how the answer to a question is shown. */
const SHOWING: Readonly<Record<string, readonly QuestionFlag[]>> = {
  trace: [{
    name: "logs",
    value: undefined,
    multiple: false,
    about: "Its events and log records as well",
  }],
  logs: [{
    name: "follow",
    value: undefined,
    multiple: false,
    about: "Those that a running collector takes from now on, until it is ended by ^C",
  }],
};

/** What `logs --follow` takes: what comes has no end and no pages. */
const FOLLOWING = LOG_TAIL.omit({ after: true });

/** Parameters that say in their name which unit they are in, and how many nanoseconds that is. */
const UNITS: readonly (readonly [suffix: string, nanos: bigint])[] = [
  ["Ns", 1n],
  ["Ms", 1_000_000n],
];

/** The flags of a question: one for each parameter, and for one with a unit another without it. */
export function flagsOf({ name, argument, api }: Question): QuestionFlag[] {
  const flags = Object.entries(api.parameters.shape).flatMap(([parameter, field]) =>
    parameter === argument ? [] : flagsOfParameter(parameter, field as z.ZodType)
  );
  return [...flags, ...SHOWING[name] ?? []];
}

function flagsOfParameter(parameter: string, field: z.ZodType): QuestionFlag[] {
  const { type } = innerType(field)._zod.def;
  const about = field.description ?? "";
  const multiple = type === "array";
  const own = { name: kebab(parameter), value: valueName(parameter, field), multiple, about };
  const short = withoutUnit(parameter);
  if (short === undefined) return [own];
  const human = { name: kebab(short), value: "DURATION", multiple, about: "The same: 250ms, 2h" };
  return [own, human];
}

/** What stands for a value in the help. */
function valueName(parameter: string, field: z.ZodType): string | undefined {
  const inner = innerType(field);
  const { type } = inner._zod.def;
  if (TIMES.has(parameter)) return "T";
  if (type === "boolean") return undefined;
  if (type === "enum") return (inner as z.ZodEnum).options.join("|");
  return type === "number" || type === "bigint" ? "N" : "TEXT";
}

function withoutUnit(parameter: string): string | undefined {
  const unit = UNITS.find(([suffix]) => parameter.endsWith(suffix));
  return unit && parameter.slice(0, -unit[0].length);
}

/** The flag of a parameter. */
function kebab(parameter: string): string {
  return parameter.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What the command line may say about questions, for its parser: several may have one name. */
export const QUESTION_FLAGS: ReadonlyMap<string, QuestionFlag> = new Map(
  QUESTIONS.flatMap(flagsOf).map((flag) => [flag.name, flag]),
);

/** Flags as they stand on the command line, by name. */
export type FlagValues = Readonly<
  Record<string, string | boolean | readonly unknown[] | undefined>
>;

/**
 * Reads a question.
 *
 * @param words What stands behind `query`.
 * @param values Every flag of commands that is set.
 * @param nowMs Now, in ms since 1970.
 * @throws {UsageError} Naming the word, or the flag and its value.
 */
export function readQuestion(
  words: readonly string[],
  values: FlagValues,
  nowMs: number,
): AskCommand {
  const [name, ...rest] = words;
  const known = QUESTIONS.find((one) => one.name === name);
  if (known === undefined) {
    const names = QUESTIONS.map((one) => one.name).join(", ");
    const got = name === undefined ? "" : `, got "${name}"`;
    throw unreadable(`query takes sql and a statement in quotes, or one of ${names}${got}`);
  }
  const follow = known.name === "logs" && values.follow === true;
  const question = follow ? { ...known, api: { ...known.api, parameters: FOLLOWING } } : known;
  const { argument, api: { parameters } } = question;
  const least = argument === undefined ? 0 : 1;
  if (rest.length < least) throw unreadable(`query ${name} takes the ${spaced(argument!)}`);
  if (rest.length > least) {
    throw unreadable(`query ${name} takes no argument "${rest[least]}"`);
  }
  const given = parametersOf(question, values);
  if (argument !== undefined) given.set(argument, rest[0]!);
  for (const [parameter, field] of Object.entries(parameters.shape)) {
    if (innerType(field) !== field || given.has(parameter)) continue;
    throw unreadable(`query ${question.name} takes --${kebab(parameter)}`);
  }
  try {
    const options = optionsFrom(parameters, given, nowMs);
    checked(parameters, options);
    return { command: "query", ask: question.name, options, logs: values.logs === true, follow };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw questionError(question, error.message, error);
  }
}

/** The name of a parameter as words: `trace id`. */
function spaced(parameter: string): string {
  return kebab(parameter).replaceAll("-", " ");
}

function parametersOf(question: Question, values: FlagValues): URLSearchParams {
  const flags = flagsOf(question);
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || flags.some((flag) => flag.name === name)) continue;
    const takes = flags.map((flag) => `--${flag.name}`).join(", ");
    throw unreadable(
      `query ${question.name}${
        values.follow === true ? " --follow" : ""
      } takes no --${name}; it takes ${takes}`,
    );
  }
  const given = new URLSearchParams();
  for (const parameter of Object.keys(question.api.parameters.shape)) {
    const value = values[kebab(parameter)];
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) given.append(parameter, String(one));
    }
    addDuration(parameter, values, given);
  }
  return given;
}

/** `--step 1m` is `--step-ms 60000`. */
function addDuration(parameter: string, values: FlagValues, given: URLSearchParams): void {
  const short = withoutUnit(parameter);
  const text = short === undefined ? undefined : values[kebab(short)];
  if (short === undefined || text === undefined) return;
  const flag = `--${kebab(short)}`;
  if (given.has(parameter)) throw unreadable(`${flag} and --${kebab(parameter)} say the same`);
  const [suffix, unit] = UNITS.find(([suffix]) => parameter.endsWith(suffix))!;
  const nanos = parseDuration(String(text));
  if (nanos === undefined || nanos % unit !== 0n) {
    const whole = suffix === "Ms" ? ", of whole milliseconds" : "";
    throw new UsageError(
      `Cannot use ${flag} "${text}": must be a duration such as 250ms, 1.5s or 2h${whole}`,
    );
  }
  given.set(parameter, String(nanos / unit));
}

/** The options of a question as the parameters of a URL. */
export function parametersFrom(options: Readonly<Record<string, unknown>>): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  return parameters;
}

/**
 * What is wrong with a question, as an error about the command line.
 *
 * @param message Of the {@linkcode QueryError}, here or as a collector repeats it.
 */
export function questionError(
  { name, argument }: Question,
  message: string,
  cause: unknown,
): UsageError {
  const [, path, value, reason] = /^Cannot query with '([\w.]+)': (.*?) \((.*)\)$/s.exec(message) ??
    [];
  if (path === undefined) return new UsageError(message, { cause });
  // Of a list it is one of the elements: quantiles.0.
  const parameter = path.split(".")[0]!;
  const flag = parameter === argument
    ? `the ${spaced(parameter)} of query ${name}`
    : `--${kebab(parameter)}`;
  // The value of a filter stands in the reason.
  const shown = value === "undefined" ? "" : ` ${value!.replace(/^(\d+)n$/, "$1")}`;
  return new UsageError(`Cannot use ${flag}${shown}: ${reason}`, { cause });
}

function unreadable(reason: string): UsageError {
  return new UsageError(`Cannot read the command line: ${reason}`);
}
