/**
 * Stores telemetry to search in: spans and logs of ten days, signed and sealed as `maintain` does.
 *
 * By hand: `deno run -A bench/search_data.ts URL SPANS_PER_SECOND` goes on storing spans of now, as the
 * ingest that searches share their server with.
 */

import { randomUUID } from "node:crypto";
import { Batch } from "../src/postgres/batch.ts";
import type { Database } from "../src/postgres/database.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Partitions } from "../src/postgres/partitions.ts";
import { pg } from "../src/postgres/pg.ts";
import { sign } from "../src/postgres/signing.ts";
import { PostgresSink } from "../src/postgres/sink.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { seeded, TYPICAL } from "./telemetry.ts";
import { varyingBodies, type VaryingBody } from "./varying_body.ts";

/** Days that the telemetry covers. */
export const DAYS = 10;
/** When it begins. */
export const START_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 86_400_000;

const RECORDS = 512;
const REQUESTS_A_BATCH = 16;
const BODIES = 40;
/** Batches after which the background would look whether there is something to sign. */
const SIGN_EVERY = 6;

type Searched = "traces" | "logs";

/** Stores requests of a signal, each other than those before. */
export class Filler {
  readonly #signal: Searched;
  readonly #bodies: readonly VaryingBody[];
  readonly #sink: PostgresSink;
  readonly #transcoder = new Transcoder(new Dimensions());
  readonly #batch = new Batch();
  readonly #random: () => number;
  #requests = 0;
  #at = 0n;

  constructor(database: Database, partitions: Partitions, signal: Searched, startMs: number) {
    this.#signal = signal;
    this.#sink = new PostgresSink(database, partitions, randomUUID());
    this.#random = seeded(startMs / 1000 | 0);
    this.#bodies = varyingBodies({
      signal,
      encoding: "protobuf",
      bodies: BODIES,
      records: RECORDS,
      shape: TYPICAL,
      startUnixNano: BigInt(startMs) * 1_000_000n,
    });
  }

  /** Stores a batch whose requests begin `stepMs` after each other; the first so much after the start. */
  async batch(laterMs: number, stepMs: number): Promise<number> {
    for (let n = 0; n < REQUESTS_A_BATCH; n++) {
      const body = this.#bodies[this.#requests++ % BODIES]!;
      const bytes = new Uint8Array(body.bytes.length);
      body.write(this.#random, Math.floor(laterMs + n * stepMs) * 1_000_000, bytes, 0);
      this.#transcoder.transcode(this.#signal, bytes, 0n, this.#batch);
    }
    await this.#sink.store(this.#batch, ++this.#at);
    this.#batch.clear();
    return REQUESTS_A_BATCH * RECORDS;
  }
}

/** Stores so many records of a signal, evenly over the days. */
export async function store(database: Database, signal: Searched, records: number): Promise<void> {
  const partitions = upkeep(database);
  const filler = new Filler(database, partitions, signal, START_MS);
  const batches = Math.ceil(records / RECORDS / REQUESTS_A_BATCH);
  const stepMs = DAYS * DAY_MS / (batches * REQUESTS_A_BATCH);
  for (let n = 0; n < batches; n++) {
    await filler.batch(n * REQUESTS_A_BATCH * stepMs, stepMs);
    if (n % SIGN_EVERY === SIGN_EVERY - 1) await signed(database);
  }
}

/** Upkeep at the end of the days, when all of them are closed. */
export function upkeep(database: Database): Partitions {
  return new Partitions(database, {
    width: "day",
    retentionDays: 30,
    clock: () => START_MS + DAYS * DAY_MS + DAY_MS / 12,
  });
}

async function storeOn([url, rate]: string[]): Promise<void> {
  await using database = pg(url!);
  const startMs = START_MS + DAYS * DAY_MS;
  const filler = new Filler(database, upkeep(database), "traces", startMs);
  const begin = performance.now();
  let stored = 0;
  for (let n = 1;; n++) {
    const nowMs = performance.now() - begin;
    stored += await filler.batch(nowMs, 1);
    if (n % SIGN_EVERY === 0) await signed(database);
    const aheadMs = stored / Number(rate) * 1000 - (performance.now() - begin);
    if (n % 10 === 0) console.log(Math.round(stored / (performance.now() - begin) * 1000));
    if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
  }
}

if (import.meta.main) await storeOn(Deno.args);

/** Signs what is there; where autovacuum is at it, the next time. */
async function signed(database: Database): Promise<void> {
  try {
    await sign(database);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "55P03") throw error;
  }
}
