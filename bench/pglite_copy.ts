/**
 * PGlite alone, in a process of its own: `pglite_copy.ts FOLDER TABLE` takes the rows of a table into
 * memory, empties it, copies them back from there, and prints how long that took the second time.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
import { cpuSeconds } from "./processes.ts";

/** What it prints, as JSON. */
export interface PGliteCopy {
  readonly rows: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

if (import.meta.main) {
  const [folder, table] = Deno.args;
  const database = await PGlite.create({ dataDir: folder! });
  const { blob } = await database.query(
    `copy (select * from ${table} order by tableoid, ctid) to '/dev/blob' (format binary)`,
  );
  let copy: PGliteCopy | undefined;
  // The first time warms up.
  for (let round = 0; round < 2; round++) {
    await database.exec(`truncate ${table}; checkpoint`);
    const before = await cpuSeconds(Deno.pid, false);
    const start = performance.now();
    const { affectedRows } = await database.query(
      `copy ${table} from '/dev/blob' (format binary)`,
      [],
      { blob: blob! },
    );
    const seconds = (performance.now() - start) / 1000;
    const used = await cpuSeconds(Deno.pid, false) - before;
    copy = { rows: affectedRows!, seconds, cpuSeconds: used };
  }
  await database.close();
  console.log(JSON.stringify(copy));
}
