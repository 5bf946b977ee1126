/**
 * A warm database that bodies are transcoded into and read back from, one for each test file.
 */

import { PGlite } from "@electric-sql/pglite";
import { Batch } from "../src/postgres/batch.ts";
import type { Database, Row } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { pglite } from "../src/postgres/pglite.ts";
import { type Transcoded, Transcoder } from "../src/postgres/transcode.ts";
import { exportStored } from "../src/query.ts";
import type { ExportRequests, Signal } from "../src/record.ts";
import { migratedSnapshot } from "./postgres.ts";

/** What a record without a time gets: 2026-01-02T03:04:05.678901Z. */
export const ARRIVAL = 1_767_323_045_678_901_000n;

const TABLES = ["spans", "logs", "metric_points"];

/** A transcoder and what it writes to. */
export class TranscodeStore {
  readonly database: Database;
  readonly transcoder = new Transcoder(new Dimensions());
  readonly batch = new Batch();

  constructor(database: Database) {
    this.database = database;
  }

  /** A store in memory, in this thread. It goes with the process. */
  static async open(): Promise<TranscodeStore> {
    const instance = await PGlite.create({ loadDataDir: await migratedSnapshot() });
    return new TranscodeStore(pglite(instance));
  }

  /** Adds a body to the batch. */
  transcode(signal: Signal, body: Uint8Array): Transcoded {
    return this.transcoder.transcode(signal, body, ARRIVAL, this.batch);
  }

  /** Stores the batch and begins a new one. */
  async flush(): Promise<void> {
    await this.batch.dimensions.flush(this.database);
    await this.database.transaction(async (transaction) => {
      for (const rows of this.batch.signals) {
        if (rows.count === 0) continue;
        await transaction.copyIn([{ table: rows.table, rows: [rows.bytes.subarray(0, rows.at)] }]);
      }
    });
    this.batch.clear();
  }

  /** Stores the batch and reads back all there is of a signal. */
  async stored<S extends Signal>(signal: S): Promise<ExportRequests[S]> {
    await this.flush();
    return await exportStored(this.database, signal);
  }

  /** Forgets all records, those in the batch included. */
  async clear(): Promise<void> {
    this.batch.clear();
    await this.database.execute(TABLES.map((table) => `truncate otel_data.${table};`).join(""));
  }

  /** The rows of a query. */
  async rows<R extends Row>(sql: string): Promise<R[]> {
    return await this.database.query<R>(sql);
  }
}
