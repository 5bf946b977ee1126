/**
 * Makes the terms of granules into signatures, as they come.
 *
 * A search that asks a signature reads some hundred bytes for a hundred thousand rows; terms that are in
 * none yet it has to look through. So this is done whenever there are enough for one, and nothing
 * depends on when. In one transaction the terms go and their signature comes: whoever reads sees either.
 *
 * @module
 */

import type { Counts } from "../sink.ts";
import type { Database, Row } from "./database.ts";
import { FreshTerms, type SignalTerms } from "./fresh_terms.ts";
import { type KnownGranule, signaturesOf, UNIT_TERMS, UNITS } from "./signature.ts";

/** Bytes of terms that fill a signature, with some room for units that are not full. */
export const SIGNATURE_TERM_BYTES: number = UNITS * UNIT_TERMS * 4 * 7 / 8;
/** Rows of terms that are worth a signature, however little is in them: to go through costs by the row. */
const SIGNATURE_TERM_ROWS = 16_384;
/** Records after which it is worth to look whether there is something to sign. */
const SIGN_EVERY = 50_000;
/** Smaller partitions are read whole as fast. */
const MIN_ANALYZED_PAGES = 4_000;
/** An open partition is analysed when it has grown so many times. */
const ANALYZED_GROWTH = 4;
/** Of this target: a quarter of the usual sample tells as much of these columns, in a fifth of the time. */
const STATISTICS_TARGET = "25";
/** Signatures after which the room of their terms is given back: each time takes as long as a signature. */
const VACUUM_EVERY = 4;
/** Two at once would do the same work. */
const SIGNING_LOCK = 0x51676e;

const NO_TERMS = new Int32Array();

/** What every call takes. */
interface Abortable {
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode sign}. */
export interface SignOptions extends Abortable {
  /** Bytes of terms that are worth a signature, which it then has. Default: what fills one. */
  readonly termBytes?: number;
  /** Give back the room of terms that have become a signature. @default {true} */
  readonly vacuum?: boolean;
  /** Terms that need not be read. Default: none. */
  readonly fresh?: FreshTerms;
}

/** Signs in the background, as records are stored. */
export class Signer {
  readonly #database: Database;
  readonly #signal: AbortSignal;
  readonly #fresh = new FreshTerms();
  #records = 0;
  #isSigning = false;
  #notVacuumed = 0;

  /** @param signal Ends it. */
  constructor(database: Database, signal: AbortSignal) {
    this.#database = database;
    this.#signal = signal;
  }

  /** Told what the rows of a transaction are found by. */
  remember(transaction: bigint, signals: readonly SignalTerms[]): void {
    this.#fresh.remember(transaction, signals);
  }

  /** Told of records that were stored. */
  stored({ traces, logs }: Counts): void {
    this.#records += traces + logs;
    if (this.#records < SIGN_EVERY || this.#isSigning || this.#signal.aborted) return;
    this.#records = 0;
    this.#isSigning = true;
    const vacuum = this.#notVacuumed >= VACUUM_EVERY;
    sign(this.#database, { signal: this.#signal, vacuum, fresh: this.#fresh })
      .then((made) => this.#notVacuumed = vacuum ? 0 : this.#notVacuumed + made)
      // `maintain` does the same, and says why it cannot; until then searches take longer.
      .catch(() => {})
      .finally(() => this.#isSigning = false);
  }
}

/**
 * Signs as many granules as fill signatures; the rest waits for more. Then tells the indexes of open
 * partitions of new pages. Where somebody else is doing so, nothing.
 *
 * @returns How many signatures were made.
 * @throws The database's error. SQLSTATE 55P03: somebody held a lock; it can be done later.
 */
export async function sign(
  database: Database,
  options: SignOptions = {},
): Promise<number> {
  const { termBytes = SIGNATURE_TERM_BYTES, vacuum = true, fresh = new FreshTerms(), ...abort } =
    options;
  let made = 0;
  for (const { signal } of await worthSigning(database, termBytes, abort)) {
    for (;;) {
      const count = await signOnce(database, signal, termBytes, fresh, abort);
      made += count;
      if (count === 0) break;
      const left = await worthSigning(database, termBytes, abort);
      if (!left.some((other) => other.signal === signal)) break;
    }
  }
  // What was deleted is room for new rows: an embedded database has nobody else to see to that. To give
  // room back to the file system would take a lock, and seconds of waiting for it.
  if (vacuum) await database.query("vacuum (truncate false) otel_data.granule_terms", [], abort);
  await summarize(database, abort);
  return made;
}

async function worthSigning(
  database: Database,
  termBytes: number,
  abort: Abortable,
): Promise<{ readonly signal: string }[]> {
  return await database.query<{ signal: string }>(
    `select signal from otel_data.granule_terms group by signal
     having sum(length(terms)) >= $1::bigint or count(*) >= $2::bigint`,
    [termBytes, SIGNATURE_TERM_ROWS],
    abort,
  );
}

async function signOnce(
  database: Database,
  signal: string,
  termBytes: number,
  fresh: FreshTerms,
  abort: Abortable,
): Promise<number> {
  const known = fresh.now();
  const taken = new Set<string>();
  const made = await database.transaction(async (transaction) => {
    const [lock] = await transaction.query<{ mine: boolean }>(
      `select pg_try_advisory_xact_lock(${SIGNING_LOCK}) as mine`,
      [],
      abort,
    );
    if (!lock!.mine) return 0;
    const rows = await transaction.query(
      `with fresh as (
         select f.ctid as place, concat_ws(' ', f.signal, f.xmin, f.granule) as key,
           sum(length(f.terms)) over (order by f.granule, f.ctid) - length(f.terms) as before
         from otel_data.granule_terms f where f.signal = $1
       )
       delete from otel_data.granule_terms g using fresh
       where g.ctid = fresh.place and fresh.before < $2::bigint
       returning g.granule, g.stored_on::text as stored_on, g.longest,
         fresh.key, case when fresh.key = any($3::text[]) then null else g.terms end as terms,
         (extract(epoch from g.first) * 1000000)::bigint as first,
         (extract(epoch from g.last) * 1000000)::bigint as last`,
      [signal, termBytes, [...known.keys()]],
      abort,
    );
    if (rows.length === 0) return 0;
    const granules = rows.flatMap((row) => granulesOf(row, known, taken));
    const storedOn = rows.map((row) => String(row.stored_on)).reduce((a, b) => a > b ? a : b);
    const signatures = await signaturesOf(granules);
    for (const { units, sliceBytes, slices, services, longest, first, last } of signatures) {
      await transaction.query(
        `insert into otel_data.signatures
           (signal, first, last, stored_on, units, slice_bytes, slices, services, longest)
         values ($1, timestamptz 'epoch' + $2::bigint * interval '1 microsecond',
           timestamptz 'epoch' + $3::bigint * interval '1 microsecond', $4::date, $5, $6, $7, $8, $9)`,
        [signal, first, last, storedOn, units, sliceBytes, slices, services, longest],
        abort,
      );
    }
    return signatures.length;
  }, abort);
  fresh.forget(taken);
  return made;
}

/**
 * The parts of a granule that a row tells of.
 *
 * @param known Terms that the row does not bring along.
 * @param taken Keys of rows whose terms were taken, which gets this one: two rows may have one key,
 * and then what is known is of both.
 */
function granulesOf(
  row: Row,
  known: ReadonlyMap<string, readonly Int32Array[]>,
  taken: Set<string>,
): KnownGranule[] {
  const key = String(row.key);
  const read = row.terms as Uint8Array | null;
  const parts = read !== null ? [termsOf(read)] : taken.has(key) ? [NO_TERMS] : known.get(key)!;
  taken.add(key);
  const granule = Number(row.granule);
  const [first, last] = [row.first as bigint, row.last as bigint];
  const longest = row.longest as Uint8Array | null;
  return parts.map((terms) => ({ granule, first, last, terms, longest }));
}

function termsOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const terms = new Int32Array(bytes.length >> 2);
  for (let n = 0; n < terms.length; n++) terms[n] = view.getInt32(n * 4);
  return terms;
}

/**
 * Of pages that the indexes on time and granule do not know, each search looks at all; and a planner
 * that knows a partition as it was when it was small takes other indexes than those. Autovacuum sees to
 * both, but later.
 */
async function summarize(database: Database, abort: Abortable): Promise<void> {
  const steps = await database.query<{ step: string }>(
    `with open as (
       select p.oid, p.relname, p.relpages, pg_relation_size(p.oid) / current_setting('block_size')::int as pages
       from pg_inherits h
       join pg_class p on p.oid = h.inhrelid
       where h.inhparent in ('otel_data.spans'::regclass, 'otel_data.logs'::regclass)
         and not exists (select from otel_data.sealed s where s.partition = p.relname)
     )
     select format('select brin_summarize_new_values(%s)', i.indexrelid) as step
     from open o
     join pg_index i on i.indrelid = o.oid
     join pg_class c on c.oid = i.indexrelid
     join pg_am a on a.oid = c.relam
     where a.amname = 'brin' and o.pages > 0
     union all
     select format('analyze otel_data.%I (time, granule, service_id, attribute_set_id)', o.relname)
     from open o where o.pages > $1 and o.pages > $2 * o.relpages`,
    [MIN_ANALYZED_PAGES, ANALYZED_GROWTH],
    abort,
  );
  for (const { step } of steps) {
    await database.transaction(async (transaction) => {
      await transaction.query(
        `select set_config('lock_timeout', '1s', true),
           set_config('default_statistics_target', $1, true)`,
        [STATISTICS_TARGET],
        abort,
      );
      await transaction.query(step, [], abort);
    }, abort);
  }
}
