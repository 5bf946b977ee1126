/**
 * The collector: receives OpenTelemetry over OTLP/HTTP and keeps it in Postgres. A script; it exports
 * nothing.
 *
 * ```sh
 * deno run --allow-net --allow-env --allow-read --allow-write=./data \
 *   jsr:@oneiric/otel-storage/collector
 * ```
 *
 * With `--database` it needs `--allow-net --allow-env` alone. `--help` lists its commands and flags.
 * When it can take requests it prints a line with `listening on http://HOST:PORT`; its log goes to
 * stderr, a line an event. The first SIGINT or SIGTERM lets it finish what it has taken and exit with
 * 0 within 10 seconds, a second one ends it at once. It exits with 2 when it was asked for what cannot
 * be, with 1 when something failed.
 *
 * @module
 */

import { join } from "node:path";
import {
  OTelStorageAdapter,
  type OTelStorageOptions,
  UnavailableError,
  type UpkeepReport,
} from "./adapter.ts";
import { askCollector } from "./ask_collector.ts";
import { VERSION } from "./assets.ts";
import { HELP, readSettings, type Settings, UsageError } from "./collector_args.ts";
import { connect } from "./postgres/connect.ts";
import type { Database } from "./postgres/database.ts";
import { FolderLockedError, lockFolder } from "./postgres/folder_lock.ts";
import { InFlight } from "./in_flight.ts";
import { log, reasonOf } from "./log.ts";
import { migrate } from "./postgres/migrate.ts";
import { RequestError } from "./request_error.ts";
import { classify } from "./retry.ts";
import { type Admin, handler, type Store } from "./server.ts";
import { querySql, type SqlRows } from "./sql_query.ts";
import { drawTable } from "./sql_table.ts";

const HOUR_MS = 3_600_000;
/** All of stopping has to fit into 10 s; the adapter takes up to 8 of them. */
const STOP_MS = 9_500;
const IN_FLIGHT_MS = 1_000;
const LAST_ANSWERS_MS = 300;
/** Terminals send a signal to every process of a group, and `deno task` sends it on: one, for us. */
const SAME_SIGNAL_MS = 250;
/** What keeps failing is logged this often. */
const LOG_AGAIN_MS = 10_000;
const STATS_SQL = "select name, value from otel.stats order by name";

async function main(): Promise<void> {
  try {
    const settings = readSettings(Deno.args, (name) => Deno.env.get(name));
    if (settings === "help") console.log(HELP.trimEnd());
    else if (settings === "version") console.log(VERSION);
    else await run(settings);
  } catch (error) {
    console.error(`otel-storage: ${reasonOf(error)}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
  // Nothing is left to do, whatever a client of a database may still wait for.
  Deno.exit(0);
}

async function run(settings: Settings): Promise<void> {
  switch (settings.command) {
    case "serve":
      return await serve(settings);
    case "migrate":
      await withDatabase(settings, migrate);
      return console.log("migrated");
    case "maintain":
      return console.log(JSON.stringify(await maintain(settings)));
    case "stats":
      return print(await query(settings, STATS_SQL), settings);
    case "query":
      return print(await query(settings, settings.sql), settings);
  }
}

async function serve(settings: Settings): Promise<void> {
  if (tracesItself()) {
    throw new UsageError(
      "Cannot start with OTEL_DENO=true: the collector would trace itself, and then the storing of " +
        "those traces, without end; start it with OTEL_DENO=false",
    );
  }
  const stopping = stopSignal();
  await using adapter = adapterFor(settings);
  if (adapter.warning !== "") log("warn", adapter.warning);
  const closing = new AbortController();
  const stopped = aborted(stopping);
  await Promise.race([adapter.init(), stopped]);
  if (stopping.aborted) return;

  const answer = handler({
    store: storeUntil(stopping, closing.signal, adapter),
    token: settings.token,
    corsOrigin: settings.corsOrigin,
    host: settings.host,
    admin: adminOf(adapter),
    onError: (error) => log("error", "could not store a request", { error }),
  });
  const requests = new InFlight();
  const server = listen(settings, (request, info) => requests.track(answer(request, info)));
  const url = urlOf(settings.host, server.addr.port);
  await adapter.announce({ url: urlOf(reachable(settings.host), server.addr.port) });
  console.log(`otel-storage ${VERSION} listening on ${url}`);
  log("info", "keeping", { in: placeOf(settings), journal: settings.dataDir });
  for (const { name, url } of settings.forwards) {
    log("info", "forwarding", { to: name, at: withoutQuery(url) });
  }

  const maintaining = maintainHourly(adapter, stopping);
  await stopped;
  await Promise.race([requests.answered(), sleep(IN_FLIGHT_MS)]);
  await maintaining;
  closing.abort();
  await adapter.close();
  await Promise.race([requests.answered(), sleep(LAST_ANSWERS_MS)]);
  // A shutdown ends the bodies that are being read, and their senders would be told that they were
  // cut. What is left then is a sender too slow: the end of this process tells it to send again.
  if (requests.count === 0) await Promise.race([server.shutdown(), sleep(LAST_ANSWERS_MS)]);
  log("info", "stopped");
}

/** Whether Deno instruments this process: every request it gets would make it send one. */
function tracesItself(): boolean {
  const isTrue = (name: string) => Deno.env.get(name)?.toLowerCase() === "true";
  return isTrue("OTEL_DENO") && !isTrue("OTEL_SDK_DISABLED");
}

/** Aborts with the first signal to stop; the second ends the process. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  let first = 0;
  const on = (name: Deno.Signal, number: number) =>
    Deno.addSignalListener(name, () => {
      if (stopping.signal.aborted) {
        if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(128 + number);
        return;
      }
      first = performance.now();
      log("info", "stopping", { signal: name });
      stopping.abort(new Error(`Stopped by ${name}`));
      setTimeout(() => {
        log("warn", "stopped before all was finished; what was not stored was not acknowledged");
        Deno.exit(0);
      }, STOP_MS);
    });
  on("SIGINT", 2);
  if (Deno.build.os === "windows") on("SIGBREAK", 21);
  else on("SIGTERM", 15);
  return stopping.signal;
}

/**
 * The adapter as long as it takes requests: new ones until the stop, those that are being sent until
 * it closes. What comes later can be sent again.
 */
function storeUntil(
  stopping: AbortSignal,
  closing: AbortSignal,
  adapter: OTelStorageAdapter,
): Store {
  let logged = -Infinity;
  const observed = async <T>(until: AbortSignal, act: () => Promise<T>): Promise<T> => {
    if (until.aborted) {
      throw new UnavailableError("Cannot store the request: shutting down; send it again", 1000);
    }
    try {
      return await act();
    } catch (error) {
      if (error instanceof UnavailableError && performance.now() - logged > LOG_AGAIN_MS) {
        logged = performance.now();
        log("warn", "refusing requests", { error, cause: error.cause });
      }
      throw error;
    }
  };
  return {
    room: (options) => observed(stopping, () => adapter.room(options)),
    write: (signal, body, options) => observed(closing, () => adapter.write(signal, body, options)),
    // A database that is away is no reason to turn senders away.
    health: async () => ({ ok: (await adapter.health()).accepting }),
  };
}

function adminOf(adapter: OTelStorageAdapter): Admin {
  return {
    query: async (sql, options) => {
      try {
        return await querySql(await adapter.database(options), sql, options);
      } catch (error) {
        if (options.signal.aborted) throw error;
        const status = classify(error).kind === "permanent" ? 400 : 503;
        throw new RequestError(status, reasonOf(error), { cause: error });
      }
    },
    maintain: async (options) => countsOf(await adapter.maintain(options)),
  };
}

function listen(
  { host, port }: Settings,
  answer: Deno.ServeHandler,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, answer);
  } catch (cause) {
    throw new Error(
      `Cannot listen on ${urlOf(host, port)}: ${reasonOf(cause)}; choose another --port`,
      { cause },
    );
  }
}

async function maintainHourly(adapter: OTelStorageAdapter, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      const report = await adapter.maintain({ signal: stopping });
      log("info", "maintained", countsOf(report));
      for (const { action, name, error } of report.postponed) {
        log("warn", "postponed", { action, name, error });
      }
    } catch (error) {
      if (!stopping.aborted) log("error", "could not maintain", { error });
    }
    await sleep(HOUR_MS, stopping);
  }
}

function countsOf(report: UpkeepReport): Record<string, number> {
  return {
    created: report.created.length,
    sealed: report.sealed.length,
    expired: report.expired.length,
    postponed: report.postponed.length,
  };
}

/** Makes the upkeep, or has the collector make it that runs on the folder. */
async function maintain(settings: Settings): Promise<unknown> {
  return await lockedOr(settings, async (url) => {
    const { body } = await askCollector({ url, token: settings.token }, "/api/maintain", {});
    return JSON.parse(body);
  }, async () => {
    await using adapter = adapterFor({ ...settings, forwards: [] }, { journal: false });
    await adapter.init();
    return countsOf(await adapter.maintain());
  });
}

async function query(settings: Settings, sql: string): Promise<SqlRows> {
  await checkFolder(settings);
  return await lockedOr(settings, async (url) => {
    const collector = { url, token: settings.token };
    const { body, headers } = await askCollector(collector, "/api/query", { sql });
    const lines = body.split("\n").slice(0, -1);
    return { lines, truncated: headers["otel-storage-truncated"] === "true" };
  }, async () => {
    await using database = await connect(targetOf(settings));
    return await querySql(database, sql);
  });
}

async function withDatabase(
  settings: Settings,
  use: (database: Database) => Promise<void>,
): Promise<void> {
  using _lock = settings.database === undefined ? await lockFolder(settings.dataDir) : undefined;
  await using database = await connect(targetOf(settings));
  await use(database);
}

/** Asks the collector that has the embedded database open, or opens the database itself. */
async function lockedOr<T>(
  settings: Settings,
  ask: (url: string) => Promise<T>,
  open: () => Promise<T>,
): Promise<T> {
  if (settings.database !== undefined) return await open();
  try {
    using _lock = await lockFolder(settings.dataDir);
    return await open();
  } catch (error) {
    if (!(error instanceof FolderLockedError) || error.holder.url === undefined) throw error;
    return await ask(error.holder.url);
  }
}

/** Reading makes no database. */
async function checkFolder(settings: Settings): Promise<void> {
  if (settings.database !== undefined) return;
  const folder = embeddedFolder(settings);
  try {
    await Deno.stat(folder);
  } catch (cause) {
    throw new Error(
      `Cannot open ${folder}: ${reasonOf(cause)}; start the collector first, or say where with ` +
        "--data-dir or --database",
      { cause },
    );
  }
}

function print({ lines, truncated }: SqlRows, { json }: Settings): void {
  const text = json || !Deno.stdout.isTerminal() ? lines.join("\n") : drawTable(lines);
  if (text !== "") console.log(text.trimEnd());
  if (truncated) console.error(`otel-storage: stopped after ${lines.length} rows; there are more`);
}

/** `journal: false`: for looking after the database alone. */
function adapterFor(settings: Settings, { journal = true } = {}): OTelStorageAdapter {
  const { database, partition, retentionDays, breakerCooldownMs, attemptTimeoutMs } = settings;
  return new OTelStorageAdapter({
    ...database === undefined
      ? { pgliteDir: embeddedFolder(settings) }
      : { connectionString: database },
    ...partition === undefined ? {} : { partition },
    retentionDays,
    attemptTimeoutMs,
    circuitBreakerCooldownMs: breakerCooldownMs,
    ...journal ? { ...journalOf(settings) } : {},
    onEvent: ({ level, message, fields }) => log(level, message, fields),
  });
}

/** Where what comes is kept until all have it, and who they are. */
function journalOf(settings: Settings): Partial<OTelStorageOptions> {
  const { dataDir, journalMaxBytes, host, port } = settings;
  const own = port === 0 ? {} : { own: { host, port, addresses: addressesOf(host) } };
  return {
    dataDir,
    journalMaxBytes,
    forwards: settings.forwards.map(({ name, url, headers }) => ({
      name,
      url,
      headers,
      gzip: settings.forwardCompression === "gzip",
      from: settings.forwardFrom,
      overflow: settings.forwardOverflow,
      ...own,
    })),
  };
}

/** The addresses of this machine, for who listens on all of them; none where they may not be asked. */
function addressesOf(host: string): string[] {
  if (host !== "0.0.0.0" && host !== "::") return [];
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces().map(({ address }) => address) : [];
}

function targetOf(settings: Settings): string | { pgliteDir: string } {
  return settings.database ?? { pgliteDir: embeddedFolder(settings) };
}

function embeddedFolder({ dataDir }: Settings): string {
  return join(dataDir, "pglite");
}

/** Where the data is, without passwords. */
function placeOf(settings: Settings): string {
  const url = URL.parse(settings.database ?? "");
  return url === null ? embeddedFolder(settings) : `${url.host}${url.pathname}`;
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where this machine finds a server that listens on every address. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}

/** Resolves after `ms`, or when the signal aborts. */
async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race(signal === undefined ? [passed] : [passed, aborted(signal)]);
  clearTimeout(timer);
}

if (import.meta.main) await main();
