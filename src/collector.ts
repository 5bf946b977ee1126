/**
 * The collector: receives OpenTelemetry over OTLP/HTTP and keeps it in Postgres. A script; it exports
 * nothing.
 *
 * ```sh
 * deno run --allow-net --allow-env --allow-read --allow-write=./data --allow-sys=statfs \
 *   jsr:@oneiric/otel-storage/collector
 * ```
 *
 * `--help` lists its commands and flags. What is received is acknowledged when it is synced to the
 * journal in the data folder; from there it goes to the database and to each forward. When it can take requests it prints a line with `listening on http://HOST:PORT`; its log goes to
 * stderr, a line an event. The first SIGINT or SIGTERM lets it finish what it has taken and exit with
 * 0 within 10 seconds, a second one ends it at once. It exits with 2 when it was asked for what cannot
 * be, with 1 when something failed.
 *
 * @module
 */

import { OTelStorageAdapter, type OTelStorageOptions, UnavailableError } from "./adapter.ts";
import { VERSION } from "./assets.ts";
import { HELP, QUERY_HELP, readSettings, type Settings, UsageError } from "./collector_args.ts";
import { embeddedFolder, placeOf, withoutQuery } from "./collector_place.ts";
import type { DestinationOptions } from "./forward_request.ts";
import { InFlight } from "./in_flight.ts";
import { log } from "./log.ts";
import { reasonOf } from "./reason.ts";
import type { Output } from "./output.ts";
import { page } from "./page_assets.ts";
import { prometheusText } from "./prometheus.ts";
import { replayStored } from "./replay_stored.ts";
import { RequestError } from "./request_error.ts";
import { classify } from "./retry.ts";
import { type Admin, handler, RequestBodies, type Store } from "./server.ts";
import { withReader } from "./postgres/reader.ts";
import { querySql } from "./sql_query.ts";
import { statsJson } from "./stats_json.ts";
import { type AdapterParts, countsOf, readerOptions, runSubcommand } from "./subcommands.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** All of stopping has to fit into 10 s; the adapter takes up to 8 of them. */
const STOP_MS = 9_500;
const IN_FLIGHT_MS = 1_000;
const LAST_ANSWERS_MS = 300;
/**
 * Bytes of bodies that are being read or appended: so the whole stays below 300 MB (some 265; with
 * 40 MiB it took up to 312).
 */
const READING_BYTES = 24 << 20;
/** How long a query waits for what was acknowledged and is not stored yet. */
const CATCH_UP_MS = 1_000;
/** Terminals send a signal to every process of a group, and `deno task` sends it on: one, for us. */
const SAME_SIGNAL_MS = 250;

async function main(): Promise<void> {
  try {
    const settings = readSettings(Deno.args, (name) => Deno.env.get(name));
    if (settings === "help") console.log(HELP.trimEnd());
    else if (settings === "query help") console.log(QUERY_HELP.trimEnd());
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
  if (settings.command === "serve") return await serve(settings);
  await runSubcommand(settings, {
    output: outputOf(settings),
    adapter: (options) => adapterFor(settings, options),
    interruption,
  });
}

/** Rows are JSON where nobody reads them at a terminal; how far a replay is stays text there. */
function outputOf({ json, command }: Settings): Output {
  return {
    json: json || (command !== "replay" && !Deno.stdout.isTerminal()),
    // Terminals that do not know their size say 0.
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns || 80 : undefined,
    line: (text) => console.log(text),
    note: (text) => console.error(`otel-storage: ${text}`),
    // Back to the first column, and what is left of the line before is erased.
    draw: (text) => Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}\x1b[K`)),
  };
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
    // The journal on disk keeps nothing of a body that was answered for.
    bodies: new RequestBodies({ lend: true, fromSocket: true, readingBytes: READING_BYTES }),
    token: settings.token,
    corsOrigin: settings.corsOrigin,
    host: settings.host,
    admin: await adminOf(
      adapter,
      settings,
      stopping,
      () => ownOf({ ...settings, port: server.addr.port }),
    ),
    database: (options) => adapter.database(options),
    tailLogs: (choice, options) => adapter.tailLogs(choice, options),
    page,
    onError: (error) => log("error", "could not answer a request", { error }),
  });
  const requests = new InFlight();
  const server = listen(settings, (request, info) => requests.track(answer(request, info)));
  const url = urlOf(settings.host, server.addr.port);
  await adapter.announce({ url: urlOf(reachable(settings.host), server.addr.port) });
  console.log(`otel-storage ${VERSION} listening on ${url}`);
  log("info", "showing", { at: `${urlOf(reachable(settings.host), server.addr.port)}/` });
  log("info", "keeping", { in: placeOf(settings), journal: settings.dataDir });
  for (const { name, url } of settings.forwards) {
    log("info", "forwarding", { destination: name, at: withoutQuery(url) });
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

/** Aborts with the first signal to stop, which is how one ends what goes on for ever. */
function interruption(): AbortSignal {
  const ended = new AbortController();
  for (const name of ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => ended.abort(new Error(`Stopped by ${name}`)));
  }
  return ended.signal;
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
        log("warn", "stopped before all was finished; what was acknowledged is in the journal");
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
  const observed = async <T>(until: AbortSignal, act: () => Promise<T>): Promise<T> => {
    if (until.aborted) {
      throw new UnavailableError("Cannot store the request: shutting down; send it again", 1000);
    }
    try {
      return await act();
    } catch (error) {
      if (error instanceof UnavailableError) {
        log("warn", "refusing requests", { error, cause: error.cause });
      }
      throw error;
    }
  };
  return {
    room: (options) => observed(stopping, () => adapter.room(options)),
    write: (signal, body, options) => observed(closing, () => adapter.write(signal, body, options)),
    // A database that is away, or does not answer, is no reason to turn senders away.
    health: async () => ({ ok: !stopping.aborted && await adapter.hasRoom() }),
  };
}

/** @param own Where it listens; asked once it does. */
async function adminOf(
  adapter: OTelStorageAdapter,
  settings: Settings,
  stopping: AbortSignal,
  own: () => DestinationOptions["own"],
): Promise<Admin> {
  return {
    query: async (sql, options) => {
      // One sees what was acknowledged before one asked, unless the database is far behind.
      const late = AbortSignal.timeout(CATCH_UP_MS);
      await adapter.flush({ signal: AbortSignal.any([options.signal, late]) }).catch((error) => {
        if (!late.aborted) throw error;
      });
      try {
        const reader = readerOptions(settings, await adapter.database(options));
        return await withReader(reader, (database) => querySql(database, sql, options));
      } catch (error) {
        if (options.signal.aborted) throw error;
        const status = classify(error).kind === "permanent" ? 400 : 503;
        throw new RequestError(status, reasonOf(error), { cause: error });
      }
    },
    maintain: async (options) => countsOf(await adapter.maintain(options)),
    stats: async () => statsJson(await adapter.stats()),
    metrics: async () => prometheusText(await adapter.stats()),
    deadLetters: await adapter.deadLetters(),
    replay: async (request, { signal, onProgress }) => {
      const ended = AbortSignal.any([signal, stopping]);
      const database = await adapter.database({ signal: ended });
      return await replayStored(database, request, { signal: ended, onProgress }, own());
    },
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
    let pause = HOUR_MS;
    try {
      const report = await adapter.maintain({ signal: stopping });
      log("info", "maintained", countsOf(report));
      if (report.postponed.length > 0) {
        const what = report.postponed.map(({ action, name, error }) =>
          `${action} ${name}: ${reasonOf(error)}`
        );
        log("warn", "postponed", { what: what.join("; ") });
      }
    } catch (error) {
      pause = MINUTE_MS;
      if (!stopping.aborted) log("warn", "could not maintain, trying again", { error });
    }
    await sleep(pause, stopping);
  }
}

function adapterFor(
  settings: Settings,
  { journal = true, retainJournal = false }: AdapterParts = {},
): OTelStorageAdapter {
  const { database, partition, retentionDays, breakerCooldownMs, attemptTimeoutMs } = settings;
  return new OTelStorageAdapter({
    ...database === undefined
      ? { pgliteDir: embeddedFolder(settings) }
      : { connectionString: database },
    ...partition === undefined ? {} : { partition },
    retentionDays,
    attemptTimeoutMs,
    circuitBreakerCooldownMs: breakerCooldownMs,
    ...journal ? { ...journalOf(settings), retainJournal } : {},
    onEvent: ({ level, message, fields }) => log(level, message, fields),
  });
}

/** Where what comes is kept until all have it, and who they are. */
function journalOf(settings: Settings): Partial<OTelStorageOptions> {
  const { dataDir, journalMaxBytes } = settings;
  const own = ownOf(settings);
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
      ...own && { own },
    })),
  };
}

/** Where this process listens, as far as that is known before it does. */
function ownOf({ host, port }: Settings): DestinationOptions["own"] {
  return port === 0 ? undefined : { host, port, addresses: addressesOf(host) };
}

/** The addresses of this machine, for who listens on all of them; none where they may not be asked. */
function addressesOf(host: string): string[] {
  if (host !== "0.0.0.0" && host !== "::") return [];
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces().map(({ address }) => address) : [];
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
