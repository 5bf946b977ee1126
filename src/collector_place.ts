/**
 * Where a collector keeps things.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { CollectorSettings } from "./collector_args.ts";

/** The database that the settings say. */
export function targetOf(settings: CollectorSettings): string | { pgliteDir: string } {
  return settings.database ?? { pgliteDir: embeddedFolder(settings) };
}

/** The folder of the embedded database. */
export function embeddedFolder({ dataDir }: CollectorSettings): string {
  return join(dataDir, "pglite");
}

/** The folder of the journal. */
export function journalFolder({ dataDir }: CollectorSettings): string {
  return join(dataDir, "journal");
}

/** The folder of the dead letters. */
export function letterFolder({ dataDir }: CollectorSettings): string {
  return join(dataDir, "dead-letters");
}

/** Where the data is, without passwords. */
export function placeOf(settings: CollectorSettings): string {
  const url = URL.parse(settings.database ?? "");
  return url === null ? embeddedFolder(settings) : `${url.host}${url.pathname}`;
}

/** A URL without what may be secret. */
export function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * Looking makes nothing.
 *
 * @throws {Error} The folder is not there; what to do.
 */
export async function checkFolder(folder: string): Promise<void> {
  try {
    await stat(folder);
  } catch (cause) {
    throw new Error(
      `Cannot open ${folder}: ${
        (cause as Error).message
      }; start the collector first, or say where ` +
        "with --data-dir or --database",
      { cause },
    );
  }
}
