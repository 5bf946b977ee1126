/**
 * Reads the points of series and folds them into windows of time, holding a few at a time.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Queryable } from "../postgres/database.ts";
import type { MetricSeries } from "./metric_series.ts";
import type { Computation, PointRow, SeriesFold, Tally } from "./metric_tally.ts";
import { QueryError } from "./query_error.ts";
import type { Windows } from "./windows.ts";

/** More points than that are refused. */
export const MAX_POINTS = 1_000_000;
/** How far before a range the point before its first one may lie: five minutes. */
export const LOOKBACK_NANOS = 300_000_000_000n;
/** Buckets held at a time; some 100 MB. */
const MAX_BUCKETS_HELD = 2_000_000;
const ROWS_PER_FETCH = 2_000;

/** A group of series, and what came of its points by window; nothing where that is unknown. */
export interface GroupWindows {
  /** One of its series. */
  readonly series: MetricSeries;
  /** By the number of the window. */
  readonly tallies: Map<number, Tally>;
}

interface Row extends PointRow {
  readonly n: number;
  readonly micros: bigint;
  readonly time_frac: number;
  readonly start_unix_nano: bigint | null;
}

/**
 * What came of the points of each group. Points without a recorded value are left out.
 *
 * @param metric Its name, for errors.
 * @throws {QueryError} There are more than {@linkcode MAX_POINTS}, or too many buckets in them.
 */
export async function windowsOf(
  reader: Queryable,
  metric: string,
  series: readonly MetricSeries[],
  computation: Computation,
  windows: Windows,
): Promise<GroupWindows[]> {
  const groups = new Map<string, GroupWindows>();
  for (const one of series) {
    if (!groups.has(one.group)) groups.set(one.group, { series: one, tallies: new Map() });
  }
  const folding = new Folding(metric, computation, windows);
  for await (const row of pointsOf(reader, series, computation, windows)) {
    folding.add(row, groups.get(series[row.n]!.group)!.tallies);
  }
  folding.end();
  return [...groups.values()];
}

/** The points of each series, in order of time. */
async function* pointsOf(
  reader: Queryable,
  series: readonly MetricSeries[],
  { columns, growing }: Computation,
  { range: { since, until }, stepNanos }: Windows,
): AsyncGenerator<Row> {
  const where = new Conditions();
  const before = growing === undefined ? 0n : LOOKBACK_NANOS;
  where.time({ since: since < before ? 0n : since - before, until });
  where.addSql("t.flags & 1 = 0");
  where.addSql("t.value is distinct from 'NaN'");
  const ids = where.parameter(series.flatMap(({ ids }) => ids));
  const numbers = where.parameter(series.flatMap(({ ids }, n) => ids.map(() => n)));
  const isBetween = growing === undefined ? "false" : between(
    growing,
    `date_bin(${where.parameter(`${stepNanos / 1000n} microseconds`)}::interval, t.time,
      ${where.timestamp(since)})`,
  );
  await reader.query(
    `declare points no scroll cursor for
     select t.n, (extract(epoch from t.time) * 1000000)::bigint as micros, t.time_frac,
       t.start_unix_nano, ${columns}
     from (
       select t.*, k.n, ${isBetween} as is_between
       from unnest(${ids}::bigint[], ${numbers}::int[]) as k (id, n)
       join otel_data.metric_points t on t.series_id = k.id
       ${where.sql}
       window series as (partition by k.n order by t.time, t.time_frac)
     ) t
     where not t.is_between
     order by t.n, t.time, t.time_frac`,
    where.parameters,
  );
  for (;;) {
    const rows = await reader.query<Row>(`fetch ${ROWS_PER_FETCH} from points`);
    for (const row of rows) yield row;
    if (rows.length < ROWS_PER_FETCH) break;
  }
  await reader.query("close points");
}

/**
 * Whether a cumulative point lies between two of its window in one stretch: what it says of the window
 * the last one says as well, so that it need not leave the database.
 *
 * @param bin What tells windows apart.
 */
function between(growing: readonly string[], bin: string): string {
  const goesOn = (to: "lag" | "lead", atLeast: "<=" | ">=") => {
    const other = (sql: string) => `${to}(${sql}) over series`;
    const grows = growing.map((column) => `${other(`t.${column}`)} ${atLeast} t.${column}`);
    return `${other("t.start_unix_nano")} is not distinct from t.start_unix_nano
      and (${grows.join(" or ") || `${other("true")}`})`;
  };
  return `coalesce(${goesOn("lag", "<=")} and ${goesOn("lead", ">=")}
    and lead(${bin}) over series = ${bin}, false)`;
}

/** The series and window at hand. */
class Folding {
  readonly #metric: string;
  readonly #computation: Computation;
  readonly #windows: Windows;
  #series = -1;
  #fold: SeriesFold | undefined;
  /** -1 before the range. */
  #window = -1;
  #into: Map<number, Tally> = new Map();
  #points = 0;
  #bucketsHeld = 0;

  constructor(metric: string, computation: Computation, windows: Windows) {
    this.#metric = metric;
    this.#computation = computation;
    this.#windows = windows;
  }

  add(row: Row, into: Map<number, Tally>): void {
    if (++this.#points > MAX_POINTS) {
      this.#refuse(`more than ${MAX_POINTS} points`);
    }
    const { range, stepNanos } = this.#windows;
    const time = row.micros * 1000n + BigInt(Math.max(row.time_frac, 0));
    const window = time < range.since ? -1 : Number((time - range.since) / stepNanos);
    if (row.n !== this.#series || window !== this.#window) this.end();
    if (row.n !== this.#series) this.#fold = this.#computation.fold();
    this.#series = row.n;
    this.#window = window;
    this.#into = into;
    const start = row.start_unix_nano === null ? 0n : BigInt.asUintN(64, row.start_unix_nano);
    this.#fold!.add({ ...row, time, start });
  }

  /** The window is over. */
  end(): void {
    const tally = this.#fold?.take();
    if (tally === undefined || this.#window < 0) return;
    const found = this.#into.get(this.#window);
    const sum = found === undefined ? tally : this.#computation.add(found, tally);
    this.#into.set(this.#window, sum);
    this.#bucketsHeld += bucketsIn(sum) - bucketsIn(found);
    if (this.#bucketsHeld > MAX_BUCKETS_HELD) {
      this.#refuse(`more than ${MAX_BUCKETS_HELD} buckets`);
    }
  }

  #refuse(what: string): never {
    throw new QueryError(
      "metric",
      this.#metric,
      `${what} to read: ask for a shorter time range, or narrow the filter`,
    );
  }
}

function bucketsIn(tally: Tally | undefined): number {
  const { buckets, quantiles } = tally ?? {};
  if (buckets === undefined) return quantiles?.size ?? 0;
  return "counts" in buckets
    ? buckets.counts.length
    : buckets.positive.size + buckets.negative.size;
}
