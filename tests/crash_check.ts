/**
 * Compares what clients were told with what is in the views and what a destination was sent.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pg } from "../src/postgres/pg.ts";
import type { Signal } from "../src/record.ts";
import type { Sent } from "./crash_load.ts";
import { LANES, SIGNALS } from "./crash_requests.ts";

/** How often each number is there. */
export type Copies = Readonly<Record<Signal, ReadonlyMap<number, number>>>;

/** Asks the store in SQL. */
export type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Asks a database. */
export function askDatabase(url: string): Ask {
  return async (sql) => {
    await using database = pg(url, { maxConnections: 1 });
    return await database.query(sql);
  };
}

/** Asks through a collector of this machine. */
export function askAt(url: string): Ask {
  return async (sql) => {
    const response = await fetch(`${url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sql }),
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.notEqual(response.headers.get("otel-storage-truncated"), "true");
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  };
}

/** What is wrong, in records; all are 0 when all is well. */
export interface Verdict {
  /** Acknowledged and not there. */
  readonly lost: number;
  /** There more than once: each copy that is too much. */
  readonly duplicated: number;
  /** There though nobody sent them. */
  readonly strangers: number;
}

const VIEWS: Readonly<Record<Signal, { readonly view: string; readonly number: string }>> = {
  traces: { view: "otel.spans", number: "('x' || span_id)::bit(64)::bigint" },
  logs: { view: "otel.logs", number: "(body #>> '{}')::bigint" },
  metrics: { view: "otel.metric_points", number: "value_int" },
};

/** How often each number is in the views; the database counts, and gives runs of numbers. */
export async function storedCopies(ask: Ask): Promise<Copies> {
  const copies = { traces: new Map(), logs: new Map(), metrics: new Map() };
  for (const signal of SIGNALS) {
    const { view, number } = VIEWS[signal];
    const runs = await ask(
      `select min(n)::text as first, max(n)::text as last, copies::text
         from (select n, copies, n - row_number() over (partition by copies order by n) as run
                 from (select ${number} as n, count(*) as copies from ${view} group by 1) counted
              ) numbered
        group by run, copies`,
    );
    for (const run of runs) {
      for (let n = Number(run.first); n <= Number(run.last); n++) {
        copies[signal].set(n, Number(run.copies));
      }
    }
  }
  return copies;
}

/** Records in the views whose parts are of different records. */
export async function mixedUp(ask: Ask): Promise<number> {
  let mixed = 0;
  for (const signal of SIGNALS) {
    const { view, number } = VIEWS[signal];
    const [row] = await ask(
      `select count(*)::text as mixed from ${view}
        where (attributes ->> 'lane')::bigint is distinct from ${number} % ${LANES}
           or service_name like 'service %' is not true`,
    );
    mixed += Number(row!.mixed);
  }
  return mixed;
}

/** Judges. A request that was not acknowledged may be there or not, but not twice. */
export function judge(sent: readonly Sent[], copies: Copies): Verdict {
  let lost = 0;
  let strangers = 0;
  let duplicated = 0;
  const known = { traces: new Set<number>(), logs: new Set<number>(), metrics: new Set<number>() };
  for (const { signal, first, count, acknowledged } of sent) {
    for (let n = first; n < first + count; n++) {
      known[signal].add(n);
      if (acknowledged && !copies[signal].has(n)) lost++;
    }
  }
  for (const signal of SIGNALS) {
    for (const [n, times] of copies[signal]) {
      duplicated += times - 1;
      if (!known[signal].has(n)) strangers++;
    }
  }
  return { lost, duplicated, strangers };
}
