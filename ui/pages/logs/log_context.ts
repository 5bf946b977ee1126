/**
 * What the same resource and scope logged around a record, whatever its severity and words.
 *
 * The API answers newest first. So what came before is asked for page by page, and what came after by
 * stretches of time that are as long as a page allows. Scopes are told apart here: filters know nothing
 * of them.
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
/** Stretches of time that are asked about, and the first of them. */
const MAX_STRETCHES = 30;
const FIRST_NS = 1e9;
/** How much shorter or longer the next one is. */
const SHORTER = 4;
const LONGER = 10;
const SHORTEST_NS = 1e3;
/** About three hours. */
const LONGEST_NS = 10_000_000_000_000n;

/** Records around one, newest first, and that one among them. */
export async function loadContext(log: StoredLog, signal: AbortSignal): Promise<StoredLog[]> {
  const at = BigInt(logTime(log));
  const filter = resourceFilter(log);
  const isNear = nearTo(log);
  const ask: Ask = async (since, until, cursor) => {
    const range = { since: String(since), until: String(until) };
    const question = { filter, ...range, cursor, limit: LIMIT };
    const page = await get<LogPage>("/api/logs", question, signal);
    const { logs, cursor: next } = page;
    return { logs: logs.filter(isNear), seen: logs.length, isWhole: next === undefined, next };
  };
  const [before, after] = await Promise.all([
    preceding(ask, at > LONGEST_NS ? at - LONGEST_NS : 0n, at + 1n),
    following(ask, at + 1n),
  ]);
  const same = logKey(log);
  const own = before.find((one) => logKey(one) === same) ?? log;
  const atSameTime = before.filter((one) => one !== own);
  return [...after.slice(-AROUND), own, ...atSameTime.slice(0, AROUND)];
}

/** Asks for a page between two times. */
type Ask = (since: bigint, until: bigint, cursor?: string) => Promise<{
  /** Those of the same resource and scope, newest first. */
  readonly logs: StoredLog[];
  /** How many there were of others as well. */
  readonly seen: number;
  readonly isWhole: boolean;
  /** For the next page. */
  readonly next: string | undefined;
}>;

/** The last records before a time and the one that is looked at, newest first. */
async function preceding(ask: Ask, since: bigint, until: bigint): Promise<StoredLog[]> {
  const found: StoredLog[] = [];
  let cursor: string | undefined;
  for (let asked = 0; asked < MAX_PAGES; asked++) {
    const { logs, next } = await ask(since, until, cursor);
    found.push(...logs);
    if (next === undefined || found.length > AROUND) break;
    cursor = next;
  }
  return found;
}

/** The first records from a time on, newest first. */
async function following(ask: Ask, since: bigint): Promise<StoredLog[]> {
  const found: StoredLog[] = [];
  const end = since + LONGEST_NS;
  let from = since;
  let lengthNs = FIRST_NS;
  for (let asked = 0; asked < MAX_STRETCHES && from < end; asked++) {
    const stretch = from + BigInt(Math.round(lengthNs));
    const until = stretch < end ? stretch : end;
    const { logs, seen, isWhole } = await ask(from, until);
    if (!isWhole && lengthNs > SHORTEST_NS) {
      lengthNs /= SHORTER;
      continue;
    }
    found.unshift(...logs);
    if (found.length >= AROUND) break;
    from = until;
    // So long that half a page should come.
    lengthNs *= Math.min(LONGER, LIMIT / 2 / Math.max(1, seen));
  }
  return found;
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
