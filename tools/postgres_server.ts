/**
 * A Postgres server for tests: the one that `DATABASE_URL` names, a running docker compose one, or
 * one of this machine's own binaries, started for as long as this process lives.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { pg } from "../src/postgres/pg.ts";

/** A server that tests may make databases on. */
export interface PostgresServer extends AsyncDisposable {
  /** Of a database whose user may create others. */
  readonly url: string;
  /** Which one it is, to print. */
  readonly name: string;
}

/** How to run a server of one's own. */
export interface OwnServerOptions {
  /** Where its folder is made. @default the folder for temporary files */
  readonly parent?: string;
  /** Its settings, besides those it needs. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A server that can be stopped and started. */
export interface OwnPostgresServer extends PostgresServer {
  /** Ends it: `INT` as an operator would, `QUIT` as a crash would. */
  stop(signal: "INT" | "QUIT"): Promise<void>;
  /** Starts it again, with its data and on its port. */
  start(): Promise<void>;
  /** Whether its process is there. */
  runs(): Promise<boolean>;
  /** Whether it can be asked. */
  answers(): Promise<boolean>;
  /** What it has logged. */
  log(): Promise<string>;
  /** Makes all of its processes stand still, as on a machine that hangs, or go on. */
  signal(name: "SIGSTOP" | "SIGCONT"): Promise<void>;
}

const COMPOSE_URL = "postgres://otel:otel@127.0.0.1:5432/otel";

/** Finds or starts a server; undefined when there is none and nothing to start one with. */
export async function postgresServer(): Promise<PostgresServer | undefined> {
  const url = Deno.env.get("DATABASE_URL");
  if (url) return running(url, "the server of DATABASE_URL");
  if (await answers(COMPOSE_URL)) return running(COMPOSE_URL, "the docker compose server");
  return await ownPostgresServer();
}

/** Starts a server of one's own; undefined when there is nothing to start one with. */
export async function ownPostgresServer(
  options: OwnServerOptions = {},
): Promise<OwnPostgresServer | undefined> {
  const folder = await binaries();
  return folder === undefined ? undefined : await start(folder, options);
}

function running(url: string, name: string): PostgresServer {
  return { url, name, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function answers(url: string): Promise<boolean> {
  await using database = pg(url, { connectTimeoutMs: 2_000, maxConnections: 1 });
  return await database.query("select 1").then(() => true, () => false);
}

/** The folder of the newest installed `postgres` that comes with `initdb`. */
async function binaries(): Promise<string | undefined> {
  const debian = "/usr/lib/postgresql";
  const versions = await Array.fromAsync(Deno.readDir(debian)).catch(() => []);
  const folders = [
    ...versions.map(({ name }) => name).sort((a, b) => Number(b) - Number(a))
      .map((version) => `${debian}/${version}/bin`),
    ...(Deno.env.get("PATH") ?? "").split(":"),
  ];
  for (const folder of folders) {
    if (await exists(`${folder}/initdb`) && await exists(`${folder}/postgres`)) return folder;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}

/** Postgres refuses to run as root. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (Deno.uid() !== 0) return undefined;
  const users = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const user = users.find((fields) => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error("Cannot start Postgres as root: there is no user postgres or nobody");
}

async function start(
  bin: string,
  { parent, settings: more }: OwnServerOptions,
): Promise<OwnPostgresServer> {
  const user = await serverUser();
  const folder = await Deno.makeTempDir({
    prefix: "otel-storage-postgres-",
    ...parent !== undefined && { dir: parent },
  });
  if (user) await Deno.chown(folder, user.uid, user.gid);
  const data = `${folder}/data`;
  const initdb = await new Deno.Command(`${bin}/initdb`, {
    args: ["-D", data, "-U", "otel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    cwd: folder,
    ...user,
  }).output();
  if (!initdb.success) throw new Error(`initdb failed: ${new TextDecoder().decode(initdb.stderr)}`);

  const port = freePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: folder,
    max_connections: 200,
    fsync: "off",
    autovacuum: "off",
    logging_collector: "off",
    ...more,
  };
  const options = Object.entries(settings).map(([name, value]) => `-c '${name}=${value}'`).join(
    " ",
  );
  // The shell ends the server when its own input ends, so that it goes with us however we go. One
  // that stands still would not hear of it.
  const script = `'${bin}/postgres' -D '${data}' ${options} >>'${folder}/log' 2>&1 & server=$!; ` +
    `if read signal; then kill -$signal $server; wait $server; ` +
    `else kill -QUIT $server; kill -CONT $server; wait $server; cd /; rm -rf '${folder}'; fi`;
  const url = `postgres://otel@127.0.0.1:${port}/postgres`;

  const run = async () => {
    const shell = spawn("sh", ["-c", script], {
      cwd: folder,
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      ...user,
    });
    const ended = new Promise<void>((resolve) => shell.on("exit", () => resolve()));
    shell.unref();
    for (let attempt = 0; !(await answers(url)); attempt++) {
      if (shell.exitCode !== null || attempt === 100) {
        throw new Error(`Postgres did not start: ${await Deno.readTextFile(`${folder}/log`)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return async (signal?: "INT" | "QUIT") => {
      // Nothing else may be left to wait for.
      shell.ref();
      shell.stdin?.end(signal && `${signal}\n`);
      await ended;
    };
  };

  const pid = async () =>
    Number((await Deno.readTextFile(`${data}/postmaster.pid`)).split("\n")[0]);

  let end = await run();
  return {
    url,
    name: `${bin}/postgres on port ${port}`,
    stop: (signal) => end(signal),
    start: async () => {
      end = await run();
    },
    answers: () => answers(url),
    log: () => Deno.readTextFile(`${folder}/log`),
    // The command line of one that has ended and is not yet waited for is empty.
    runs: async () =>
      await pid().then((id) => Deno.readTextFile(`/proc/${id}/cmdline`)).catch(() => "") !== "",
    signal: async (name) => {
      const server = await pid();
      // The server first: it makes the others.
      Deno.kill(server, name);
      const children = await Deno.readTextFile(`/proc/${server}/task/${server}/children`);
      for (const child of children.split(" ").filter(Boolean)) {
        try {
          Deno.kill(Number(child), name);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      await end();
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
