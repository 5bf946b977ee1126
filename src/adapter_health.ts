/**
 * How an adapter is: whether its database answers, and what waits.
 *
 * @module
 */

import type { AdapterSettings } from "./adapter_options.ts";
import type { AdapterParts } from "./adapter_parts.ts";
import type { CircuitState } from "./breaker.ts";
import { SCHEMA_VERSION } from "./postgres/migrate.ts";
import { reasonOf } from "./reason.ts";

/** How the adapter is. */
export interface Health {
  /** Whether the database answers and its schema is the one this version needs. */
  readonly ok: boolean;
  /**
   * Whether requests are taken now: with a `dataDir` that does not depend on the database, only on
   * room in the journal.
   */
  readonly accepting: boolean;
  /** Which client talks to the database; empty while it was never reached. */
  readonly driver: string;
  /** Blocks of `schema.sql` that the database has; 0 when it cannot be asked. */
  readonly schemaVersion: number;
  /** What is wrong with the database, empty when nothing is. */
  readonly error: string;
  /** State of the breaker round the storage path. */
  readonly breaker: CircuitState;
  /** Records in the journal that are yet to be stored. */
  readonly pendingRecords: number;
  /** Records of `store…` that the journal does not have yet. */
  readonly bufferedRecords: number;
}

/** How long the database is waited for, in milliseconds. */
const HEALTH_MS = 5_000;
/** How long room is waited for, in milliseconds: a request would wait for longer. */
const ROOM_MS = 1_000;

/** Whether there is room for a request. Asked as a request does, since room is made when it is asked for. */
export async function hasRoom({ intake, destinations }: AdapterParts): Promise<boolean> {
  const signal = AbortSignal.timeout(ROOM_MS);
  return await intake.room(() => destinations.makeRoom(), signal).then(() => true, () => false);
}

/** Asks the database, for 5 s at most. Never rejects because of it. */
export async function healthOf(
  parts: AdapterParts,
  { dataDir }: AdapterSettings,
): Promise<Health> {
  const { store, destinations, buffer } = parts;
  const room = hasRoom(parts);
  const signal = AbortSignal.timeout(HEALTH_MS);
  let driver = "";
  let schemaVersion = 0;
  let error = "";
  try {
    const { database } = await store.open(signal);
    driver = database.driver;
    const [row] = await database.query<{ version: number }>(
      "select coalesce(max(version), 0) as version from otel_data.migrations",
      [],
      { signal },
    );
    schemaVersion = row!.version;
    if (schemaVersion < SCHEMA_VERSION) {
      error = `The schema has version ${schemaVersion}, not ${SCHEMA_VERSION}: migrate it`;
    }
  } catch (cause) {
    error = reasonOf(cause);
  }
  const { breaker, pending } = destinations.database.stats;
  return {
    ok: error === "",
    accepting: await room && (dataDir !== undefined || error === ""),
    driver,
    schemaVersion,
    error,
    breaker,
    pendingRecords: pending.traces + pending.logs + pending.metrics,
    bufferedRecords: buffer.stats.records,
  };
}
