/**
 * What a table takes from `psql \copy` in two streams: two `psql` at once, each with a file of binary
 * rows, the halves of the table in the order in which it held them.
 *
 * @module
 */

import type { Database } from "../src/postgres/database.ts";

/** Who copies, and where. */
export interface CopyPlace {
  /** The database, by URL. */
  readonly url: string;
  /** A folder for the files. */
  readonly folder: string;
  /** Ends what runs. */
  readonly abort: AbortSignal;
}

/** The files of a table: its rows, in as many parts as there are streams. */
export interface CopyFiles {
  readonly table: string;
  readonly paths: readonly string[];
}

const STREAMS = 2;

/** Writes the rows of a table to files. */
export async function copyOut(
  database: Database,
  table: string,
  { url, folder, abort }: CopyPlace,
): Promise<CopyFiles> {
  const [row] = await database.query<{ n: bigint }>(`select count(*) as n from ${table}`);
  const part = (Number(row!.n) + STREAMS - 1) / STREAMS | 0;
  const paths = Array.from({ length: STREAMS }, (_, n) => `${folder}/${table}.${n}`);
  await Promise.all(paths.map((path, n) =>
    psql(
      url,
      `\\copy (select * from ${table} order by tableoid, ctid limit ${part} offset ${n * part}) ` +
        `to '${path}' (format binary)`,
      abort,
    )
  ));
  return { table, paths };
}

/** Copies the files back into their table, all at once. */
export async function copyIn(
  { table, paths }: CopyFiles,
  { url, abort }: CopyPlace,
): Promise<void> {
  await Promise.all(
    paths.map((path) => psql(url, `\\copy ${table} from '${path}' (format binary)`, abort)),
  );
}

async function psql(url: string, command: string, abort: AbortSignal): Promise<void> {
  const { success, stderr } = await new Deno.Command("psql", {
    args: ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command],
    stdin: "null",
    stdout: "null",
    signal: abort,
  }).output();
  abort.throwIfAborted();
  if (!success) throw new Error(`psql failed at ${command}: ${new TextDecoder().decode(stderr)}`);
}
