/**
 * `query logs --follow`: prints log records as a collector takes them.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { HEARTBEAT_MS, LOG_TAIL_PATH } from "./api_tail.ts";
import { type CollectorAddress, CollectorRefusalError, followCollector } from "./ask_collector.ts";
import { type LogJson, logLine } from "./log_line.ts";
import type { Output } from "./output.ts";
import { jsonLine } from "./query_command.ts";
import { type AskCommand, parametersFrom, questionError, QUESTIONS } from "./query_flags.ts";
import { reasonOf } from "./reason.ts";
import { UsageError } from "./usage_error.ts";

/** How long a collector that is lost is left alone at first, and at most, in ms. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** When three heartbeats have not come, the connection is taken for dead. */
const SILENCE_MS = 3 * HEARTBEAT_MS;

/** An event of the stream, as far as it matters here. */
interface TailEvent {
  readonly id: string | undefined;
  readonly name: string;
  readonly data: string;
}

/**
 * Follows until the signal aborts, across restarts of the collector: what came meanwhile is printed
 * first when it is back.
 *
 * @param find Finds the collector, again each time it was lost.
 * @throws {UsageError} There is no collector, or it cannot choose by these options.
 * @throws {CollectorRefusalError} It lets nobody follow who has this token.
 */
export async function followLogs(
  { ask, options }: AskCommand,
  find: () => Promise<CollectorAddress>,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  let position: string | undefined;
  let retryMs = FIRST_RETRY_MS;
  for (let collector: CollectorAddress | undefined; !signal.aborted;) {
    let why = "it has ended the connection";
    try {
      collector = await find();
      const place = position === undefined ? {} : { after: position };
      const path = `${LOG_TAIL_PATH}?${parametersFrom({ ...options, ...place })}`;
      for await (const event of eventsOf(collector, path, signal)) {
        position = event.id ?? position;
        retryMs = FIRST_RETRY_MS;
        print(event, output);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof UsageError && collector === undefined) throw error;
      if (error instanceof CollectorRefusalError && error.status < 500) {
        const question = QUESTIONS.find(({ name }) => name === ask)!;
        throw error.status === 400 ? questionError(question, error.reason, error) : error;
      }
      why = reasonOf(error);
    }
    output.note(`lost the collector, trying again in ${retryMs / 1_000} s: ${why}`);
    // Ended by the signal, the loop ends.
    await delay(retryMs, { signal }).catch(() => {});
    retryMs = Math.min(MAX_RETRY_MS, retryMs * 2);
  }
}

function print({ name, data }: TailEvent, output: Output): void {
  if (name === "dropped") {
    const { count } = JSON.parse(data) as { count: number | null };
    output.note(`${count ?? "some"} log records came too fast and are not shown`);
    return;
  }
  const log = JSON.parse(data) as LogJson;
  output.line(output.json ? jsonLine(log) : logLine(log));
}

/** The events of a stream of them, without comments. */
async function* eventsOf(
  collector: CollectorAddress,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<TailEvent> {
  const silent = new AbortController();
  const onSilence = () => silent.abort(new Error(`nothing came for ${SILENCE_MS / 1_000} s`));
  let timer = setTimeout(onSilence, SILENCE_MS);
  let id: string | undefined;
  let name = "";
  let data = "";
  try {
    const ended = AbortSignal.any([signal, silent.signal]);
    for await (const line of followCollector(collector, path, undefined, ended)) {
      clearTimeout(timer);
      timer = setTimeout(onSilence, SILENCE_MS);
      const [field, value = ""] = line.split(/: ?(.*)/s);
      if (field === "id") id = value;
      else if (field === "event") name = value;
      else if (field === "data") data = value;
      else if (line === "" && data !== "") {
        yield { id, name, data };
        name = data = "";
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
