/**
 * What the same resource and scope logged around a record, whatever its severity and words.
 *
 * The API answers newest first. So what came before is asked for page by page, and what came after in a
 * stretch of time that is made longer until it has enough, or shorter when it has too much. Scopes are
 * told apart here: filters know nothing of them.
 */

import type { StoredLog } from "../../frame/answers.ts";
import type { LogPage } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { quoted } from "../../frame/value.ts";
import { logKey, logTime } from "./log_query.ts";

/** Records on each side. */
const AROUND = 50;
const LIMIT = 1_000;
/** Pages that are looked through, as other scopes may have logged most of it. */
const MAX_PAGES = 10;
const FIRST_NS = 1e9;
const FACTOR = 10;
/** Stretches that differ by less are the same. */
const CLOSE = 1.2;
/** Between 1 µs and three hours. */
const SHORTEST_NS = 1e3;
const LONGEST_NS = 1e13;

/** Records around one, newest first, and that one among them. */
export async function loadContext(log: StoredLog, signal: AbortSignal): Promise<StoredLog[]> {
  const at = BigInt(logTime(log));
  const filter = resourceFilter(log);
  const isNear = nearTo(log);
  const ask: Ask = async (since, until, enough) => {
    const question = { filter, since: String(since), until: String(until), limit: LIMIT };
    const logs: StoredLog[] = [];
    let cursor: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page: LogPage = await get("/api/logs", { ...question, cursor }, signal);
      logs.push(...page.logs.filter(isNear));
      cursor = page.cursor;
      if (cursor === undefined || logs.length >= enough) break;
    }
    return { logs, isWhole: cursor === undefined };
  };
  const [before, after] = await Promise.all([
    ask(at > LONGEST_NS ? at - BigInt(LONGEST_NS) : 0n, at + 1n, AROUND + 1),
    following(ask, at + 1n),
  ]);
  const same = logKey(log);
  const own = before.logs.find((one) => logKey(one) === same) ?? log;
  const atSameTime = before.logs.filter((one) => one !== own);
  return [...after.slice(-AROUND), own, ...atSameTime.slice(0, AROUND)];
}

type Ask = (
  since: bigint,
  until: bigint,
  enough: number,
) => Promise<{ logs: StoredLog[]; isWhole: boolean }>;

/** The first records from a time on, newest first. */
async function following(ask: Ask, since: bigint): Promise<StoredLog[]> {
  let best: StoredLog[] = [];
  let tooShortNs = SHORTEST_NS;
  let tooLongNs: number | undefined;
  for (let lengthNs = FIRST_NS;;) {
    const { logs, isWhole } = await ask(since, since + BigInt(Math.round(lengthNs)), 0);
    if (isWhole) {
      best = logs;
      if (logs.length >= AROUND || lengthNs >= LONGEST_NS) return best;
      tooShortNs = lengthNs;
    } else tooLongNs = lengthNs;
    if (tooLongNs === undefined) {
      lengthNs = Math.min(LONGEST_NS, tooShortNs * FACTOR);
    } else {
      lengthNs = Math.sqrt(tooShortNs * tooLongNs);
      if (tooLongNs < tooShortNs * CLOSE) return best;
    }
  }
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
