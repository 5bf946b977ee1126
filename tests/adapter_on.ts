/**
 * An adapter on a database of a test's own.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
import { OTelStorageAdapter, type OTelStorageOptions } from "@oneiric/otel-storage";
import { migratedSnapshot, testDatabase, type TestDriver } from "./postgres.ts";

/** A new embedded database. */
export const PGLITE = { pgliteDir: "memory://" };

/** An adapter on a database of its own, not initialised yet. */
export async function adapterOn(
  driver: TestDriver,
  options: Partial<OTelStorageOptions> = {},
): Promise<AsyncDisposable & { adapter: OTelStorageAdapter; url: string }> {
  if (driver === "pglite") {
    const client = await PGlite.create({ loadDataDir: await migratedSnapshot() });
    const adapter = new OTelStorageAdapter({ client, ...options });
    return {
      adapter,
      url: "",
      [Symbol.asyncDispose]: async () => {
        await adapter.close();
        await client.close();
      },
    };
  }
  const test = await testDatabase(driver);
  const adapter = new OTelStorageAdapter({ connectionString: test.url, ...options });
  return {
    adapter,
    url: test.url,
    [Symbol.asyncDispose]: async () => {
      await adapter.close();
      await test[Symbol.asyncDispose]();
    },
  };
}
