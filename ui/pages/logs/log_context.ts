/**
 * What the same resource and scope logged around a record, whatever its severity and words.
 *
 * The API answers newest first. So what came before is one question, and what came after is asked for in
 * a stretch of time that is made longer until it has enough, or shorter when it has too much.
 */

import type { StoredLog } from "../../frame/answers.ts";
import type { LogPage } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { quoted } from "../../frame/value.ts";
import { logKey, logTime } from "./log_query.ts";

/** Records on each side. */
const AROUND = 50;
const LIMIT = 1_000;
const FIRST_NS = 1_000_000_000n;
const FACTOR = 10n;
/** Between 1 µs and three hours. */
const SHORTEST_NS = 1_000n;
const LONGEST_NS = 10_000_000_000_000n;

/** Records around one, newest first, and that one among them. */
export async function loadContext(log: StoredLog, signal: AbortSignal): Promise<StoredLog[]> {
  const at = BigInt(logTime(log));
  const filter = resourceFilter(log);
  const isNear = nearTo(log);
  const ask = async (since: bigint, until: bigint) => {
    const range = { since: String(since), until: String(until) };
    const page = await get<LogPage>("/api/logs", { filter, ...range, limit: LIMIT }, signal);
    return { logs: page.logs.filter(isNear), isWhole: page.cursor === undefined };
  };
  const [before, after] = await Promise.all([
    ask(at > LONGEST_NS ? at - LONGEST_NS : 0n, at + 1n),
    following(ask, at + 1n),
  ]);
  const same = logKey(log);
  const own = before.logs.find((one) => logKey(one) === same) ?? log;
  const atSameTime = before.logs.filter((one) => one !== own);
  return [...after.slice(-AROUND), own, ...atSameTime.slice(0, AROUND)];
}

type Ask = (since: bigint, until: bigint) => Promise<{ logs: StoredLog[]; isWhole: boolean }>;

/** The first records from a time on, newest first. */
async function following(ask: Ask, since: bigint): Promise<StoredLog[]> {
  let best: StoredLog[] = [];
  let isLonger = true;
  for (let length = FIRST_NS; length >= SHORTEST_NS && length <= LONGEST_NS;) {
    const { logs, isWhole } = await ask(since, since + length);
    if (isWhole && (logs.length >= AROUND || !isLonger)) return logs;
    if (isWhole) best = logs;
    else if (isLonger && best.length > 0) return best;
    else isLonger = false;
    length = isLonger ? length * FACTOR : length / FACTOR;
  }
  return best;
}

/** Finds the resource, by what filters can compare. */
function resourceFilter({ resource }: StoredLog): string {
  return resource.attributes.flatMap(({ key, value }) => {
    const text = value?.stringValue;
    return text === undefined || text === "" || text.length > 200
      ? []
      : [`${quoted(`resource.${key}`)} = ${JSON.stringify(text)}`];
  }).slice(0, 12).join(" and ");
}

/** Whether a record has the very resource and scope. */
function nearTo(log: StoredLog): (other: StoredLog) => boolean {
  const source = ({ resource, scope }: StoredLog) =>
    JSON.stringify([resource.attributes, scope.name, scope.version]);
  const wanted = source(log);
  return (other) => source(other) === wanted;
}
