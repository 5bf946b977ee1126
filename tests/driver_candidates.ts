/**
 * Every way to get a {@linkcode Database}, each on a new, empty database of its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
// @ts-types="npm:@types/pg@^8.20.0"
import { Client, Pool } from "pg";
import postgres from "postgres";
import type { DenoPostgresPool } from "../src/postgres/client.ts";
import { connect, type ConnectOptions, type ConnectTarget } from "../src/postgres/connect.ts";
import type { CopyTable, Database } from "../src/postgres/database.ts";
import { pglite } from "../src/postgres/pglite.ts";
import { drivers, emptySnapshot, testDatabase } from "./postgres.ts";

/** A database under test. */
export interface OpenCandidate extends AsyncDisposable {
  readonly database: Database;
  /** A server's database, to reach it behind the driver's back. */
  readonly url: string;
}

/** A way to get a database. */
export interface Candidate {
  readonly name: string;
  readonly driver: string;
  /** Whether it is a server, which others can reach too. */
  readonly server: boolean;
  /** A statement that runs until it is cancelled; where it cannot be, for a while. */
  readonly slow: string;
  /** Whether our own code runs on while a statement does. */
  readonly concurrent: boolean;
  /** Whether it has COPY, and so takes bytes that only COPY can refuse. */
  readonly copies: boolean;
  /** @param route Turns the URL of a server into the one to connect to. */
  open(options?: ConnectOptions, route?: (url: string) => string): Promise<OpenCandidate>;
}

const EMPTY_SQL = "drop schema public cascade; create schema public";

/** Empties a database; false if a test has closed it. */
function isEmptied(database: Database): Promise<boolean> {
  return database.execute(EMPTY_SQL).then(() => true, () => false);
}

const ENDLESS = "do $$ begin loop end loop; end $$";
const A_WHILE = "do $$ begin for i in 1..100000000 loop end loop; end $$";

/** A client that was made from a URL, and how to end it. */
export interface Given {
  readonly target: ConnectTarget;
  readonly end: () => Promise<unknown>;
}

function onServer(
  name: string,
  driver: string,
  give: (url: string) => Given,
  { copies, cancels }: { readonly copies: boolean; readonly cancels: boolean },
): Candidate {
  return {
    name,
    driver,
    copies,
    server: true,
    slow: cancels ? ENDLESS : A_WHILE,
    concurrent: true,
    async open(options = {}, route = (url) => url) {
      const empty = await testDatabase("postgres");
      const { target, end } = give(route(empty.url));
      const database = await connect(target, options);
      return {
        database,
        url: empty.url,
        [Symbol.asyncDispose]: async () => {
          // Dropping ends the statements that cannot be cancelled.
          const closed = database.close();
          await Promise.all([closed, end(), closed.then(() => empty[Symbol.asyncDispose]())]);
        },
      };
    },
  };
}

/**
 * A `Pool` of `@db/postgres` in shape and manners (what it parses itself, one connection a client),
 * on `npm:pg`, because the package cannot be had everywhere.
 */
export function denoPostgresShape(url: string): Given {
  const pool = new Pool({ connectionString: url, max: 3 });
  pool.on("error", () => {});
  const parsers = new Map<number, (text: string) => unknown>([
    [16, (text) => text === "t"],
    [17, (text) => Uint8Array.fromHex(text.slice(2))],
    [20, BigInt],
    [21, Number],
    [23, Number],
    [701, Number],
    [1016, (text) => (text.match(/[^{},]+/g) ?? []).map((n) => n === "NULL" ? null : BigInt(n))],
  ]);
  const types = {
    getTypeParser: (oid: number) => parsers.get(oid) ?? ((text: string) => text),
  };
  // Once a connection: each is used many times.
  pool.on("connect", (client) => client.on("error", () => {}));
  const target: DenoPostgresPool = {
    get available() {
      return pool.idleCount;
    },
    get size() {
      return pool.totalCount;
    },
    async connect() {
      const client = await pool.connect();
      return {
        async queryArray({ text, args = [] }) {
          const query = { text, values: args, types, rowMode: "array" as const };
          const result = await client.query(args.length === 0 ? { ...query, values: [] } : query);
          const columns = (result.fields ?? []).map(({ name, dataTypeID }) => ({
            name,
            typeOid: dataTypeID,
          }));
          return { rows: result.rows as unknown[][], rowDescription: { columns } };
        },
        release: () => client.release(),
      };
    },
  };
  return { target, end: () => pool.end() };
}

const SERVERS: readonly Candidate[] = [
  onServer("npm:pg", "pg", (url) => ({ target: url, end: () => Promise.resolve() }), {
    copies: true,
    cancels: true,
  }),
  onServer("a Pool of npm:pg", "pg", (connectionString) => {
    const pool = new Pool({ connectionString, max: 4 });
    const end = () => {
      // The driver's listener goes when the database is closed.
      pool.on("error", () => {});
      return pool.end();
    };
    return { target: pool, end };
  }, { copies: true, cancels: true }),
  onServer("npm:postgres", "postgres", (url) => {
    const client = postgres(url, { max: 4, onnotice: () => {} });
    return { target: client, end: () => client.end({ timeout: 1 }) };
  }, { copies: false, cancels: true }),
  onServer("the shape of @db/postgres", "@db/postgres", denoPostgresShape, {
    copies: false,
    cancels: false,
  }),
];

/** One for all tests that want no options and leave it open, emptied before each: a start takes seconds. */
const kept = pglite("memory://", { snapshot: await emptySnapshot() });
let isKeptFree = await kept.query("select 1").then(() => true);

/** It stays with whoever made it: one for all tests, emptied before each. */
const instance = await PGlite.create({ loadDataDir: await emptySnapshot() });

const EMBEDDED: readonly Candidate[] = [
  {
    name: "PGlite in memory",
    driver: "pglite",
    server: false,
    slow: A_WHILE,
    concurrent: true,
    copies: true,
    async open(options) {
      if (options === undefined && isKeptFree && await isEmptied(kept)) {
        isKeptFree = false;
        const free = () => Promise.resolve(void (isKeptFree = true));
        return { database: kept, url: "", [Symbol.asyncDispose]: free };
      }
      const database = pglite("memory://", { ...options, snapshot: await emptySnapshot() });
      return { database, url: "", [Symbol.asyncDispose]: () => database.close() };
    },
  },
  {
    name: "PGlite in a folder",
    driver: "pglite",
    server: false,
    slow: ENDLESS,
    concurrent: true,
    copies: true,
    async open(options = {}) {
      const folder = await Deno.makeTempDir();
      const snapshot = await emptySnapshot();
      const database = pglite(`${folder}/pglite`, { cancelGraceMs: 0, ...options, snapshot });
      return {
        database,
        url: folder,
        [Symbol.asyncDispose]: async () => {
          await database.close();
          await Deno.remove(folder, { recursive: true });
        },
      };
    },
  },
  {
    name: "an instance of PGlite",
    driver: "pglite",
    server: false,
    slow: A_WHILE,
    concurrent: false,
    copies: true,
    async open(options = {}) {
      await instance.exec(EMPTY_SQL);
      const database = await connect(instance, options);
      return { database, url: "", [Symbol.asyncDispose]: () => database.close() };
    },
  },
];

/** The real `@db/postgres`, where it resolves. The name is computed so that checking needs no network. */
export const denoPostgres = await import(["@db", "postgres"].join("/")).then(
  ({ Pool }) =>
    Pool as new (url: string, size: number, lazy: boolean) => DenoPostgresPool & {
      end(): Promise<void>;
    },
  () => undefined,
);

/** Whether the real `@db/postgres` is among the {@linkcode candidates}. */
export const hasDenoPostgres: boolean = denoPostgres !== undefined;

/** All that can be tested here. */
export const candidates: readonly Candidate[] = [
  ...(drivers.includes("postgres") ? SERVERS : []),
  ...(drivers.includes("postgres") && denoPostgres
    ? [onServer("@db/postgres", "@db/postgres", (url) => {
      const pool = new denoPostgres(url, 3, true);
      return { target: pool, end: () => pool.end() };
    }, { copies: false, cancels: false })]
    : []),
  ...EMBEDDED,
];

/** A connection behind the driver's back. */
export async function backdoor<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** What `promise` rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await promise.then(() => undefined, (error) => ({ error }));
  assert.ok(outcome, "resolved");
  return outcome.error;
}

/** A table to copy into. */
export const KEYED: CopyTable = {
  name: "keyed",
  columns: [{ name: "id", type: "int8" }, { name: "s", type: "text" }],
};

/** Makes {@linkcode KEYED}. */
export const KEYED_SQL = "create table keyed (id int8 unique, s text)";
