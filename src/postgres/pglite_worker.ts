/**
 * The far side of {@linkcode ./pglite.ts}: PGlite in a worker, asked by messages.
 *
 * @module
 */

import { mkdir, readFile } from "node:fs/promises";
import { PGlite } from "@electric-sql/pglite";
import type { PGliteCall, PGliteReply, PGliteRequest } from "./pglite_call.ts";
import { PGliteClient } from "./pglite_instance.ts";

/** The major version of Postgres that PGlite is. */
const EMBEDDED_VERSION = "18";

const ERROR_FIELDS = ["code", "severity", "detail", "hint", "where", "schema", "table", "column"]
  .concat("dataType", "constraint", "routine");

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<PGliteRequest>) => void;
  postMessage(reply: PGliteReply): void;
};

/** Memory in place of the two copies that a blob makes of it, of which one stays until it is collected. */
class BufferBlob extends Blob {
  readonly #bytes: ArrayBuffer;

  constructor(bytes: ArrayBuffer) {
    super();
    this.#bytes = bytes;
  }

  /** All that PGlite asks of it. */
  override arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.resolve(this.#bytes);
  }
}

let instance: PGlite | undefined;
let client: PGliteClient | undefined;

async function answer(call: PGliteCall): Promise<unknown> {
  if (call.kind === "open") return await open(call.dataDir, call.snapshot);
  if (client === undefined) throw new Error("Cannot use the embedded database: it is not open");
  switch (call.kind) {
    case "query":
      return await client.query(call.sql, call.parameters);
    case "execute":
      return await client.execute(call.script);
    case "copyIn":
      return await client.copyBlob(call.table, new BufferBlob(call.file));
    case "close":
      return await instance?.close();
  }
}

async function open(dataDir: string, snapshot: Blob | undefined): Promise<void> {
  const isNew = dataDir.startsWith("memory://") || await isNewFolder(dataDir);
  instance = await PGlite.create({ dataDir, ...(isNew && snapshot && { loadDataDir: snapshot }) });
  client = new PGliteClient(instance);
  await instance.exec("set timezone = 'UTC'");
}

/**
 * @throws {Error} When it was made by another major version, whose opening would destroy it, or cannot
 * be used.
 */
async function isNewFolder(dataDir: string): Promise<boolean> {
  let version: string;
  try {
    await mkdir(dataDir, { recursive: true });
    version = (await readFile(`${dataDir}/PG_VERSION`, "utf8")).trim();
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "ENOENT") return true;
    const { message } = cause as Error;
    throw new Error(
      `Cannot open ${dataDir}: ${message}; the folder has to be readable and writable`,
      { cause },
    );
  }
  if (version === EMBEDDED_VERSION) return false;
  throw new Error(
    `Cannot open ${dataDir}: it was made by Postgres ${version}, this release embeds Postgres ` +
      `${EMBEDDED_VERSION}. Nothing was changed. Export it with the release that made it: ` +
      "deno run --allow-all jsr:@oneiric/otel-storage@RELEASE/collector query sql " +
      `--data-dir DIR "select * from otel.spans"`,
  );
}

scope.onmessage = async ({ data: { id, call } }) => {
  try {
    scope.postMessage({ id, value: await answer(call) });
  } catch (error) {
    const from = Object(error) as Record<string, unknown>;
    const fields = ERROR_FIELDS.filter((name) => typeof from[name] === "string");
    scope.postMessage({
      id,
      message: error instanceof Error ? error.message : String(error),
      fields: Object.fromEntries(fields.map((name) => [name, from[name]])),
    });
  }
};
