/**
 * A sink on a database of its own, which can be made to fail.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { Batch } from "../src/postgres/batch.ts";
import type { Database, Transaction } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { migratedDatabase, type TestDriver } from "./postgres.ts";
import { type RequestOptions, spans } from "./requests.ts";

/** A day. */
export const DAY_NANOS = 86_400_000_000_000n;

/** What is done to the transactions that store records; they commit unless told otherwise. */
export interface Faults {
  /** Called within the transaction, before its last statement. */
  before: () => Promise<void> | void;
  /** Called once it has committed. */
  after: () => void;
  /** How many there were. */
  transactions: number;
}

/** The database, whose transactions that copy can be made to fail. */
export function faulty(database: Database): { database: Database; faults: Faults } {
  const faults: Faults = { before: () => {}, after: () => {}, transactions: 0 };
  const transaction: Database["transaction"] = async (run, options) => {
    let copies = false;
    const result = await database.transaction(async (inner) => {
      const observed: Transaction = {
        query: (...args) => inner.query(...args),
        copyIn: (...args) => {
          copies = true;
          return inner.copyIn(...args);
        },
        commitWith: async (...args) => {
          if (copies) await faults.before();
          return await inner.commitWith(...args);
        },
      };
      return await run(observed);
    }, options);
    if (copies) {
      faults.transactions++;
      faults.after();
    }
    return result;
  };
  const proxy = new Proxy(database, {
    get(target, key) {
      if (key === "transaction") return transaction;
      const member = Reflect.get(target, key, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { database: proxy, faults };
}

/** A migrated database and what stores in it. */
export interface Storage extends AsyncDisposable {
  readonly database: Database;
  readonly url: string;
  readonly faults: Faults;
  readonly journalId: string;
  readonly partitions: Partitions;
  readonly sink: PostgresSink;
  readonly dimensions: Dimensions;
  /** Makes a batch of requests. */
  batch(...requests: readonly [signal: "traces" | "logs" | "metrics", body: Uint8Array][]): Batch;
}

/** Opens a new, empty one, with partitions for the days about now. */
export async function openStorage(driver: TestDriver): Promise<Storage> {
  const test = await migratedDatabase(driver);
  const { database, faults } = faulty(test.database);
  const partitions = new Partitions(test.database, { width: "day", retentionDays: 30 });
  await partitions.makeAhead();
  const journalId = randomUUID();
  const dimensions = new Dimensions();
  const transcoder = new Transcoder(dimensions);
  return {
    database: test.database,
    url: test.url,
    faults,
    journalId,
    partitions,
    sink: new PostgresSink(database, partitions, journalId),
    dimensions,
    batch: (...requests) => {
      const batch = new Batch();
      for (const [signal, body] of requests) transcoder.transcode(signal, body, 0n, batch);
      return batch;
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

/** A request of spans of these numbers. */
export const traces = (
  numbers: readonly number[],
  options?: RequestOptions,
): ["traces", Uint8Array] => [
  "traces",
  spans(numbers, options),
];

/** The numbers of all stored spans, sorted. */
export async function storedSpans(database: Database): Promise<number[]> {
  const rows = await database.query<{ id: bigint }>(
    "select span_id as id from otel_data.spans order by span_id",
  );
  return rows.map(({ id }) => Number(id));
}

/** Up to where a journal is stored, as the database has it. */
export async function position(database: Database, journalId: string): Promise<bigint | undefined> {
  const [row] = await database.query<{ at: bigint }>(
    "select at from otel_data.journal_position where journal_id = $1",
    [journalId],
  );
  return row?.at;
}

/** The counts that the database keeps. */
export async function stats(database: Database): Promise<Record<string, number>> {
  const rows = await database.query<{ name: string; value: bigint }>(
    "select name, value from otel.stats",
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, Number(value)]));
}
