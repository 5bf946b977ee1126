/**
 * The embedded driver: PGlite in a worker, where a long statement blocks nobody but the database.
 *
 * PGlite has one connection and cannot cancel: a statement that has to end is ended with its worker,
 * and the next one starts a new worker on the same folder. What was waiting goes on.
 *
 * @module
 */

import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { CallbackSession } from "./callback_session.ts";
import { copyFile } from "./copy_format.ts";
import type { Copy, Database, Row, SqlValue } from "./database.ts";
import type { PGliteCall, PGliteReply, PGliteRequest } from "./pglite_call.ts";
import { PGliteClient, type PGliteInstance } from "./pglite_instance.ts";
import { type Session, SessionDatabase, type SessionSource } from "./session.ts";

/** Settings of {@linkcode pglite}. */
export interface PGliteOptions {
  /** What a new database begins as: the result of PGlite's `dumpDataDir`. */
  readonly snapshot?: Blob;
  /** How long a statement may run, in milliseconds; 0 is for ever. For folders only. @default {0} */
  readonly statementTimeoutMs?: number;
  /** How long an aborted statement may still run before its worker is ended, in milliseconds. @default {1_000} */
  readonly cancelGraceMs?: number;
  /** How long `close` waits for what is in flight, in milliseconds. @default {5_000} */
  readonly closeGraceMs?: number;
}

const MEMORY = "memory://";
const CANCEL_GRACE_MS = 1_000;
/** How long PGlite may take to close its files. */
const FAREWELL_MS = 5_000;

/**
 * An embedded database.
 *
 * Two processes on one folder destroy it: hold its lock first (`folder_lock.ts`).
 *
 * @param target A folder, made when absent; or `memory://`, where nothing is kept and an aborted
 * statement runs to its end, because ending its worker would lose the data; or an instance of PGlite,
 * which stays open when the database is closed and cannot be interrupted either.
 * @throws {Error} With the first statement, when the folder was made by another version of Postgres.
 */
export function pglite(target: string | PGliteInstance, options: PGliteOptions = {}): Database {
  const source = typeof target === "string"
    ? new WorkerSource(target, options)
    : givenInstance(new PGliteClient(target));
  return new SessionDatabase(source, options);
}

/** Its own transactions keep our statements apart from those of whoever else uses the instance. */
function givenInstance(client: PGliteClient): SessionSource {
  return {
    driver: "pglite",
    acquire: () => Promise.resolve(new CallbackSession(client)),
    close: () => Promise.resolve(),
  };
}

/** The near side of one worker. */
class PGliteProcess {
  readonly #worker: Worker;
  readonly #calls: Map<number, PromiseWithResolvers<unknown>> = new Map();
  #lastId = 0;
  #ended: Error | undefined;

  constructor() {
    const url = new URL("./pglite_worker.ts", import.meta.url);
    this.#worker = new Worker(url, { type: "module", name: "pglite" });
    this.#worker.onmessage = ({ data }: MessageEvent<PGliteReply>) => this.#settle(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(lost(`the embedded database failed: ${event.message}`));
    };
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** @param moved What of it goes over to the worker instead of being copied. */
  call(call: PGliteCall, moved: readonly ArrayBuffer[] = []): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const request: PGliteRequest = { id: ++this.#lastId, call };
    const answer = Promise.withResolvers<unknown>();
    this.#calls.set(request.id, answer);
    this.#worker.postMessage(request, [...moved]);
    return answer.promise;
  }

  /** Ends the worker at once; what runs rejects with `reason`. */
  end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(reason);
    this.#calls.clear();
  }

  #settle(reply: PGliteReply): void {
    const answer = this.#calls.get(reply.id);
    this.#calls.delete(reply.id);
    if ("value" in reply) return answer?.resolve(reply.value);
    answer?.reject(Object.assign(new Error(reply.message), reply.fields));
    // Not an answer of Postgres: PGlite itself broke down and does not recover.
    if (reply.fields.code === undefined) this.end(lost(reply.message));
  }
}

/** An error with the SQLSTATE of a lost connection. */
function lost(message: string): Error {
  return Object.assign(new Error(message), { code: "57P02" });
}

class WorkerSource implements SessionSource {
  readonly driver = "pglite";
  readonly #dataDir: string;
  readonly #options: PGliteOptions;
  #process: PGliteProcess | undefined;
  /** Resolves when the one connection is free. */
  #turn: Promise<void> = Promise.resolve();
  #inUse = false;
  #closed = false;

  constructor(dataDir: string, options: PGliteOptions) {
    this.#dataDir = dataDir;
    this.#options = options;
  }

  async acquire(): Promise<Session> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    this.#inUse = true;
    const free = () => {
      this.#inUse = false;
      resolve();
    };
    try {
      return new WorkerSession(await this.#open(), this.#limits(), free);
    } catch (error) {
      free();
      throw error;
    }
  }

  /** PGlite never does. */
  async syncFiles(): Promise<void> {
    if (!this.#dataDir.startsWith(MEMORY)) await syncTree(this.#dataDir);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const embedded = this.#process;
    if (embedded === undefined) return;
    if (!this.#inUse && !embedded.ended) {
      const timer = setTimeout(() => embedded.end(lost("Cannot close in time")), FAREWELL_MS);
      await embedded.call({ kind: "close" }).catch(() => {});
      clearTimeout(timer);
    }
    embedded.end(lost("Cannot use the embedded database: it is closed"));
  }

  /** Undefined where ending the worker would lose the data. */
  #limits(): Limits | undefined {
    if (this.#dataDir.startsWith(MEMORY)) return undefined;
    const { statementTimeoutMs = 0, cancelGraceMs = CANCEL_GRACE_MS } = this.#options;
    return { statementTimeoutMs, cancelGraceMs };
  }

  async #open(): Promise<PGliteProcess> {
    if (this.#closed) throw lost("Cannot use the embedded database: it is closed");
    if (this.#process !== undefined && !this.#process.ended) return this.#process;
    const embedded = new PGliteProcess();
    this.#process = embedded;
    const { snapshot } = this.#options;
    try {
      await embedded.call({ kind: "open", dataDir: this.#dataDir, ...(snapshot && { snapshot }) });
    } catch (error) {
      embedded.end(lost("Cannot use the embedded database: it did not open"));
      throw error;
    }
    return embedded;
  }
}

/** Syncs a file, or all files of a folder and of those in it, and then the folder. */
async function syncTree(path: string): Promise<void> {
  try {
    await using handle = await open(path, "r");
    if ((await handle.stat()).isDirectory()) {
      for (const name of await readdir(path)) await syncTree(join(path, name));
    }
    await handle.sync();
  } catch (error) {
    // Removed meanwhile: what it held is elsewhere, or wanted by nobody.
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
}

/** When a statement is ended with its worker. */
interface Limits {
  readonly statementTimeoutMs: number;
  readonly cancelGraceMs: number;
}

class WorkerSession implements Session {
  readonly #process: PGliteProcess;
  readonly #limits: Limits | undefined;
  readonly #free: () => void;
  #cancelTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(embedded: PGliteProcess, limits: Limits | undefined, free: () => void) {
    this.#process = embedded;
    this.#limits = limits;
    this.#free = free;
  }

  async query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    return await this.#call({ kind: "query", sql, parameters }) as Row[];
  }

  async execute(script: string): Promise<void> {
    await this.#call({ kind: "execute", script });
  }

  async copyIn(copies: readonly Copy[]): Promise<void> {
    for (const { table, rows } of copies) {
      // The caller writes the next rows where these are.
      const file = copyFile(rows);
      await this.#call({ kind: "copyIn", table, file }, [file]);
    }
  }

  begin(): Promise<void> {
    return this.execute("begin");
  }

  commit(): Promise<void> {
    return this.execute("commit");
  }

  rollback(): Promise<void> {
    return this.execute("rollback");
  }

  cancel(): void {
    if (this.#limits === undefined) return;
    const reason = lost("Cannot finish: the embedded database was restarted to abort a statement");
    this.#cancelTimer = setTimeout(() => this.#process.end(reason), this.#limits.cancelGraceMs);
  }

  async release(broken: boolean): Promise<void> {
    if (broken) {
      await this.rollback().catch((error) => this.#process.end(lost(String(error))));
    }
    clearTimeout(this.#cancelTimer);
    this.#free();
  }

  async #call(call: PGliteCall, moved?: readonly ArrayBuffer[]): Promise<unknown> {
    const limitMs = this.#limits?.statementTimeoutMs ?? 0;
    if (limitMs === 0) return await this.#process.call(call, moved);
    const timer = setTimeout(() => {
      const message = `Cannot finish the statement within ${limitMs} ms: it was ended`;
      this.#process.end(Object.assign(new Error(message), { code: "57014" }));
    }, limitMs);
    try {
      return await this.#process.call(call, moved);
    } finally {
      clearTimeout(timer);
    }
  }
}
