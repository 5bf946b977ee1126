/**
 * The driver for a Postgres server: `npm:pg`, with a COPY of our own.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect as connectSocket } from "node:net";
// @ts-types="npm:@types/pg@^8.20.0"
import { Pool } from "pg";
import type { Copy, Database, Row, SqlValue } from "./database.ts";
import { PgCommit } from "./pg_commit.ts";
import { PgCopy } from "./pg_copy.ts";
import { type Session, SessionDatabase, type SessionSource } from "./session.ts";
import { SESSION_SETTINGS, TRANSACTION_SETTINGS } from "./transaction_settings.ts";
import { parameterText, parseValue } from "./values.ts";

/** Settings of the connections that {@linkcode pg} makes from a URL. */
export interface PgOptions {
  /** How the connections call themselves in `pg_stat_activity`. @default {"otel-storage"} */
  readonly applicationName?: string;
  /** Most connections at a time; more callers wait. @default {8} */
  readonly maxConnections?: number;
  /** How long to wait for a connection, in milliseconds. @default {10_000} */
  readonly connectTimeoutMs?: number;
  /** How long the server lets a statement run, in milliseconds; 0 is for ever. @default {0} */
  readonly statementTimeoutMs?: number;
  /** How long `close` waits for what is in flight, in milliseconds. @default {5_000} */
  readonly closeGraceMs?: number;
}

/** What this driver asks of a `Pool` of `npm:pg` that was handed in. */
export interface PgPool {
  /** A client of the pool. */
  connect(): Promise<PgClient>;
  /** Listens for errors of idle clients. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Stops listening. */
  off(event: "error", listener: (error: Error) => void): unknown;
  /** How many clients there are. */
  readonly totalCount: number;
}

/** What this driver asks of a client of {@linkcode PgPool}. */
export interface PgClient {
  /** Runs a statement. */
  query(query: PgQuery): Promise<{ rows: Row[] }>;
  /** Gives it back to the pool, or ends its connection. */
  release(destroy?: boolean): void;
  /** Listens for errors of the connection. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Stops listening. */
  off(event: "error", listener: (error: Error) => void): unknown;
}

/** A statement as `npm:pg` takes it. */
export interface PgQuery {
  /** The SQL. */
  text: string;
  /** Its parameters as text. */
  values?: (string | null)[];
  /** What makes values of the text of results. */
  types?: { getTypeParser(oid: number): (text: string) => unknown };
}

/** What `npm:pg` has on its clients and does not declare; all of it is needed to cancel a query. */
interface PgInternals {
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly host: string;
  readonly port: number;
  readonly connection: { readonly stream: { destroy(): void } };
}

const TYPES = {
  getTypeParser: (oid: number) => (text: string): unknown => parseValue(oid, text),
};

const BEGIN = `begin; ${TRANSACTION_SETTINGS}`;

const APPLICATION_NAME = "otel-storage";
const MAX_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
/** How long the server may take to say good-bye. */
const FAREWELL_MS = 1_000;

/**
 * A database on a Postgres server.
 *
 * @param target A URL, `postgres://` or `postgresql://`, or a `Pool` of `npm:pg`. A pool that is
 * handed in stays open when the database is closed: who made it ends it. Its connections keep their
 * own session settings; transactions have those of `transaction_settings.ts`.
 * @param options For connections made from a URL; of these, a pool takes `closeGraceMs` only.
 * @throws {TypeError} When the URL is not of such a form. The message does not repeat the URL.
 */
export function pg(target: string | PgPool, options: PgOptions = {}): Database {
  const source = typeof target === "string" ? ownPool(target, options) : givenPool(target);
  return new SessionDatabase(source, options);
}

function ownPool(url: string, options: PgOptions): SessionSource {
  checkUrl(url);
  const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const settings = `${SESSION_SETTINGS}; set statement_timeout = ${
    Math.trunc(options.statementTimeoutMs ?? 0)
  }`;
  const pool = new Pool({
    connectionString: url,
    application_name: options.applicationName ?? APPLICATION_NAME,
    max: options.maxConnections ?? MAX_CONNECTIONS,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    // A program with nothing else to do ends.
    allowExitOnIdle: true,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    // By statement, because poolers refuse unknown settings in the startup packet.
    onConnect: async (client) => {
      const query = { text: settings, query_timeout: connectTimeoutMs };
      await client.query(query);
    },
  });
  // An idle connection that dies leaves the pool; without a listener it would end the process.
  pool.on("error", () => {});
  const clients = new Set<PgInternals>();
  pool.on("connect", (client) => clients.add(client as unknown as PgInternals));
  pool.on("remove", (client) => clients.delete(client as unknown as PgInternals));
  return {
    driver: "pg",
    acquire: () => acquire(pool),
    close: async () => {
      const farewell = Promise.withResolvers<void>();
      const timer = setTimeout(farewell.resolve, FAREWELL_MS);
      await Promise.race([pool.end(), farewell.promise]);
      clearTimeout(timer);
      for (const client of clients) client.connection.stream.destroy();
    },
  };
}

function givenPool(pool: PgPool): SessionSource {
  const ignore = () => {};
  pool.on("error", ignore);
  return {
    driver: "pg",
    acquire: () => acquire(pool),
    close: () => {
      pool.off("error", ignore);
      return Promise.resolve();
    },
  };
}

function checkUrl(url: string): void {
  try {
    const { protocol, username, password, pathname } = new URL(url);
    [username, password, pathname].forEach(decodeURIComponent);
    if (protocol === "postgres:" || protocol === "postgresql:") return;
  } catch {
    // Its error would repeat the URL.
  }
  throw new TypeError(
    "Cannot read the database URL: it is not of the form " +
      "postgres://user:password@host:port/database (special characters in percent-encoding)",
  );
}

async function acquire(pool: PgPool): Promise<Session> {
  return new PgSession(await pool.connect());
}

class PgSession implements Session {
  readonly #client: PgClient;
  /** What begins the transaction and was not sent yet. */
  #toBegin = "";
  /** A connection that dies also says so by an event, which must be heard. */
  readonly #onError = () => {};

  constructor(client: PgClient) {
    this.#client = client;
    client.on("error", this.#onError);
  }

  async query(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    // What has no parameters goes out as one message with what begins the transaction.
    if (this.#toBegin !== "" && parameters.length === 0) {
      const text = `${this.#takeBegin()}; ${sql}`;
      const results = await this.#client.query({ text, types: TYPES });
      return (results as unknown as readonly { rows: Row[] }[]).at(-1)!.rows;
    }
    await this.#sendBegin();
    const values = parameters.map(parameterText);
    return (await this.#client.query({ text: sql, values, types: TYPES })).rows;
  }

  async execute(script: string): Promise<void> {
    try {
      await this.#client.query({ text: script });
    } catch (error) {
      // When this fails too, the connection is lost, and the transaction with it.
      await this.rollback().catch(() => {});
      throw error;
    }
  }

  /** Sent with the first statement: a round trip less. */
  begin(): Promise<void> {
    this.#toBegin = BEGIN;
    return Promise.resolve();
  }

  async commit(): Promise<void> {
    if (this.#takeBegin() === "") await this.#client.query({ text: "commit" });
  }

  async commitWith(sql: string, parameters: readonly SqlValue[]): Promise<Row[]> {
    await this.#sendBegin();
    const commit = new PgCommit(sql, parameters.map(parameterText), parseValue);
    this.#client.query(commit as unknown as PgQuery);
    return await commit.rows;
  }

  async rollback(): Promise<void> {
    if (this.#takeBegin() === "") await this.#client.query({ text: "rollback" });
  }

  async copyIn(copies: readonly Copy[]): Promise<void> {
    const copy = new PgCopy(this.#takeBegin(), copies);
    this.#client.query(copy as unknown as PgQuery);
    await copy.done;
  }

  async #sendBegin(): Promise<void> {
    const text = this.#takeBegin();
    if (text !== "") await this.#client.query({ text });
  }

  #takeBegin(): string {
    const begin = this.#toBegin;
    this.#toBegin = "";
    return begin;
  }

  /** Asks the server to stop and does not wait for its answer. */
  cancel(): void {
    const { processID, secretKey, host, port, connection } = this
      .#client as unknown as PgInternals;
    connection.stream.destroy();
    if (processID === null || secretKey === null) return;
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(80877102, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    const socket = host.startsWith("/")
      ? connectSocket(`${host}/.s.PGSQL.${port}`)
      : connectSocket(port, host);
    // The server ends a query of a lost connection anyway, only later.
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.end(request);
    socket.unref();
  }

  release(broken: boolean): Promise<void> {
    this.#client.release(broken);
    // Only now: between the two somebody listens.
    this.#client.off("error", this.#onError);
    return Promise.resolve();
  }
}
