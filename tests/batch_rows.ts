/**
 * The rows of a batch by column, for comparing those of two writers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { SignalRows } from "../src/postgres/batch.ts";
import { copiedColumns } from "../src/postgres/copy_format.ts";

/** Values by column; without the granules, whose numbers follow the clock. */
export function columnsOf(
  { table, chunks }: SignalRows,
): Record<string, readonly (string | null)[]> {
  const columns = copiedColumns(table, Buffer.concat(chunks));
  return Object.fromEntries(
    table.columns.map(({ name }, n) => [name, columns[n]!] as const).filter(([name]) =>
      name !== "granule"
    ),
  );
}
