/**
 * `query NAME …`: asks, and shows the answer.
 *
 * @module
 */

import { textOf } from "./api_answers.ts";
import type { ApiQuery } from "./api_queries.ts";
import { askCollector, type CollectorAddress, CollectorRefusalError } from "./ask_collector.ts";
import { type LogJson, logLine } from "./log_line.ts";
import type { Output } from "./output.ts";
import type { Database } from "./postgres/database.ts";
import { QueryError } from "./query.ts";
import {
  type AskCommand,
  parametersFrom,
  type Question,
  questionError,
  QUESTIONS,
} from "./query_flags.ts";
import { cellsOf, rowsOf } from "./query_tables.ts";
import { QUERY_TIMEOUT_MS } from "./sql_query.ts";
import { drawTable } from "./sql_table.ts";
import { timeText } from "./time_text.ts";
import { happenings, type TraceJson, waterfall } from "./waterfall.ts";

/** Gives the answer to a question as the API does: JSON. */
export type Asker = (
  question: Question,
  options: AskCommand["options"],
) => Promise<string>;

/** Columns of a terminal that does not say how many it has. */
const USUAL_COLUMNS = 80;

/** Asks the database. */
export function askDatabase(database: Database): Asker {
  return async ({ api }, options) => {
    const { ask, write = textOf }: ApiQuery = api;
    const answer = await ask(database, options as never, { timeoutMs: QUERY_TIMEOUT_MS });
    if (answer === undefined) throw new Error(NOT_FOUND);
    return write(answer as never);
  };
}

/** Asks a collector that runs. */
export function askRemotely(collector: CollectorAddress): Asker {
  return async (question, options) => {
    const { [question.argument ?? ""]: argument, ...rest } = options;
    const path = question.api.path.replace(/\{\w+\}/, encodeURIComponent(String(argument)));
    const parameters = parametersFrom(rest);
    try {
      return (await askCollector(collector, `${path}?${parameters}`)).body;
    } catch (error) {
      if (!(error instanceof CollectorRefusalError)) throw error;
      if (error.status === 404) throw new Error(NOT_FOUND, { cause: error });
      if (error.status === 400) throw questionError(question, error.reason, error);
      throw error.status === 504 ? new Error(error.reason, { cause: error }) : error;
    }
  };
}

const NOT_FOUND = "Cannot find it: nothing is stored of it";

/**
 * Asks, and prints the answer: a table on a terminal, an object a line elsewhere.
 *
 * @throws {UsageError} The question cannot be answered as it was asked.
 * @throws {Error} Nothing is stored of what was asked for, or it took too long.
 */
export async function runQuestion(
  command: AskCommand,
  asker: Asker,
  output: Output,
): Promise<void> {
  const question = QUESTIONS.find(({ name }) => name === command.ask)!;
  let text: string;
  try {
    text = await asker(question, command.options);
  } catch (error) {
    if (error instanceof QueryError) throw questionError(question, error.message, error);
    throw error;
  }
  // It is a document, with numbers as they were sent.
  if (command.options.format === "otlp") return output.line(text);
  const answer = JSON.parse(text);
  if (output.json) printLines(command, answer, output);
  else printText(command, answer, output);
  noteRest(command, answer, output);
}

function printLines({ ask, logs }: AskCommand, answer: unknown, output: Output): void {
  for (const row of rowsOf(ask, answer)) output.line(jsonLine(row));
  if (logs) { for (const log of (answer as TraceJson).logs) output.line(jsonLine(log)); }
}

/**
 * JSON that is safe on a terminal: what would move its cursor or turn its text round is escaped, which
 * JSON takes for the same.
 */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu,
    (text) => text.split("").map((unit) => `\\u${hex(unit)}`).join(""),
  );
}

function hex(unit: string): string {
  return unit.charCodeAt(0).toString(16).padStart(4, "0");
}

function printText({ ask, logs }: AskCommand, answer: unknown, output: Output): void {
  const columns = output.columns ?? USUAL_COLUMNS;
  if (ask === "trace") {
    const trace = answer as TraceJson;
    for (const line of waterfall(trace, columns)) output.line(line);
    if (!logs) return;
    output.line("");
    for (const line of happenings(trace)) output.line(line);
    return;
  }
  const rows = rowsOf(ask, answer);
  if (ask === "logs") {
    for (const log of rows) output.line(logLine(log as LogJson));
    return;
  }
  const cells = rows.flatMap((row) => cellsOf(ask, row)).map((row) => JSON.stringify(row));
  output.line(drawTable(cells).trimEnd());
}

interface Partial {
  readonly range?: { readonly since: string; readonly until: string };
  readonly cursor?: string;
  readonly hasMoreSpans?: boolean;
  readonly lateSpans?: number;
  readonly hasMoreLogs?: boolean;
}

/** What was read, for people, and how to get what was not. */
function noteRest({ logs }: AskCommand, answer: Partial, output: Output): void {
  const { range, cursor, hasMoreSpans, lateSpans = 0, hasMoreLogs } = answer;
  if (range !== undefined && !output.json) {
    const [since, until] = [range.since, range.until].map((nanos) => timeText(BigInt(nanos)));
    output.note(`read what was from ${since} until ${until}`);
  }
  if (lateSpans > 0) output.note(`${lateSpans} spans have come since that start before these`);
  if (hasMoreSpans) {
    output.note(`there are more spans; say --max-spans, or for those alone --cursor ${cursor}`);
  } else if (cursor !== undefined) {
    output.note(`there are more; the next page: --cursor ${cursor}`);
  }
  if (hasMoreLogs && logs) output.note("there are more log records; say --max-logs");
}
