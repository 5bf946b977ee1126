/**
 * What a collector that runs can be asked for, as if it were here.
 *
 * @module
 */

import type { DeadLetterOps, LetterReplay, Replay } from "./admin.ts";
import {
  type DeadLetterAsk,
  parseLetter,
  parseLetterList,
  parseReplayLine,
  replayRequestJson,
} from "./admin_json.ts";
import {
  askCollector,
  type CollectorAddress,
  CollectorRefusalError,
  followCollector,
} from "./ask_collector.ts";
import { DamagedLetterError } from "./dead_letters.ts";
import { parseStats, type StatsJson } from "./stats_json.ts";

/** Its numbers. */
export async function remoteStats(address: CollectorAddress): Promise<StatsJson> {
  return parseStats((await askCollector(address, "/api/stats")).body);
}

/** Its dead letters. */
export function remoteDeadLetters(address: CollectorAddress): DeadLetterOps {
  const ask = async (command: DeadLetterAsk) => {
    try {
      return JSON.parse((await askCollector(address, "/api/dead-letters", command)).body);
    } catch (error) {
      throw aboutLetter(error) ?? error;
    }
  };
  return {
    list: async (filter) => parseLetterList(await ask({ action: "list", filter })),
    read: async (name) => parseLetter(await ask({ action: "read", name })),
    replay: async (name) => await ask({ action: "replay", name }) as LetterReplay,
    drop: async (name) => (await ask({ action: "drop", name })).dropped === true,
  };
}

/** What the collector says about one letter; undefined when it is about something else. */
function aboutLetter(error: unknown): Error | undefined {
  if (!(error instanceof CollectorRefusalError)) return undefined;
  if (error.status === 404) return new RangeError(error.reason, { cause: error });
  return error.status === 422 ? new DamagedLetterError(error.reason, { cause: error }) : undefined;
}

/** Its replay. Ended here, it ends there. */
export function remoteReplay(address: CollectorAddress): Replay {
  return async (request, { signal, onProgress }) => {
    const command = replayRequestJson(request);
    for await (const text of followCollector(address, "/api/replay", command, signal)) {
      const line = parseReplayLine(JSON.parse(text));
      if ("error" in line) throw new Error(line.error);
      if ("result" in line) return line.result.map(withTime);
      onProgress(withTime(line.progress));
    }
    throw new Error(
      `The collector at ${address.url} ended before the replay did; go on with --since`,
    );
  };
}

/** Absent in JSON is undefined here. */
function withTime<T extends { readonly lastUnixNano?: bigint | undefined }>(
  progress: T,
): T & { readonly lastUnixNano: bigint | undefined } {
  return { ...progress, lastUnixNano: progress.lastUnixNano };
}
