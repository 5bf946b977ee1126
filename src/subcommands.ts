/**
 * The commands of the collector that end by themselves. Each asks the collector that runs on the data
 * folder, which it finds through the lock file, or takes the lock and does it here.
 *
 * @module
 */

import type { OTelStorageAdapter, UpkeepReport } from "./adapter.ts";
import type { DeadLetterOps } from "./admin.ts";
import { askCollector, type CollectorAddress } from "./ask_collector.ts";
import type { AskCommand, DeadLetterCommand, ReplayCommand, Settings } from "./collector_args.ts";
import {
  checkFolder,
  embeddedFolder,
  journalFolder,
  letterFolder,
  targetOf,
} from "./collector_place.ts";
import { runDeadLetters } from "./dead_letter_command.ts";
import { DeadLetters } from "./dead_letters.ts";
import { diskFiles } from "./journal_files.ts";
import { followLogs } from "./follow_command.ts";
import type { Output } from "./output.ts";
import { connect } from "./postgres/connect.ts";
import { type ReaderOptions, withReader } from "./postgres/reader.ts";
import type { Database } from "./postgres/database.ts";
import { FolderLockedError, lockFile, lockFolder } from "./postgres/folder_lock.ts";
import { migrate, SCHEMA_VERSION } from "./postgres/migrate.ts";
import { askDatabase, askRemotely, runQuestion } from "./query_command.ts";
import { remoteDeadLetters, remoteReplay, remoteStats } from "./remote_admin.ts";
import { runReplay } from "./replay_command.ts";
import { replayStored } from "./replay_stored.ts";
import { QUERY_TIMEOUT_MS, querySql, type SqlRows } from "./sql_query.ts";
import { drawTable } from "./sql_table.ts";
import { type StatsJson, statsJson } from "./stats_json.ts";
import { drawStats } from "./stats_table.ts";
import { UsageError } from "./usage_error.ts";

/** Which parts of an adapter there are. */
export interface AdapterParts {
  /** Without it the adapter looks after the database alone. @default {true} */
  readonly journal?: boolean;
  /** Nothing goes from the journal. @default {false} */
  readonly retainJournal?: boolean;
}

/** What subcommands need. */
export interface Means {
  /** Where they write to. */
  readonly output: Output;
  /** Makes an adapter of the settings. */
  readonly adapter: (parts: AdapterParts) => OTelStorageAdapter;
  /** Asked for where it would go on for ever: aborts with the first signal to stop. */
  readonly interruption: () => AbortSignal;
}

/** How long deliveries get to find out where they stand before their numbers are told, in ms. */
const LOCATING_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/**
 * A journal that others forward from is looked at with its destinations unknown: it must not take what
 * the known ones have for what all have.
 */
const LOOKING: AdapterParts = { retainJournal: true };

/** Does what was asked, unless that is to serve. */
export async function runSubcommand(settings: Settings, means: Means): Promise<void> {
  const { output } = means;
  switch (settings.command) {
    case "serve":
      throw new TypeError("Cannot serve as a subcommand");
    case "migrate":
      await bringUpToDate(settings);
      return output.line("migrated");
    case "maintain":
      return output.line(JSON.stringify(await maintain(settings, means)));
    case "stats": {
      const stats = await statsOf(settings, means);
      return output.line(output.json ? JSON.stringify(stats) : drawStats(stats).trimEnd());
    }
    case "query":
      if ("sql" in settings) return print(await query(settings, settings.sql), output);
      return await (settings.follow ? follow(settings, means) : question(settings, output));
    case "dead-letters":
      return await deadLetters(settings, means);
    case "replay":
      return await replay(settings, output);
  }
}

/** Migrates the database; or asks the collector that runs on the folder, which has done so at its start. */
async function bringUpToDate(settings: Settings): Promise<void> {
  await openOr(settings, async (collector) => {
    const sql = "select value from otel.stats where name = 'schema_version'";
    const { value } = JSON.parse((await askCollector(collector, "/api/query", { sql })).body);
    if (value >= SCHEMA_VERSION) return;
    throw new Error(
      `Cannot migrate: the collector at ${collector.url} has schema version ${value}, this program ` +
        `${SCHEMA_VERSION}: end that one, and start this one`,
    );
  }, async () => {
    using _lock = settings.database === undefined ? await lockFolder(settings.dataDir) : undefined;
    await using database = await connect(targetOf(settings));
    await migrate(database);
  });
}

/** Makes the upkeep, or has the collector make it that runs on the folder. */
async function maintain(settings: Settings, { adapter: make }: Means): Promise<unknown> {
  return await databaseOr(settings, async (collector) => {
    return JSON.parse((await askCollector(collector, "/api/maintain", {})).body);
  }, async () => {
    await using adapter = make({ journal: false });
    await adapter.init();
    return countsOf(await adapter.maintain());
  });
}

/** What the upkeep did, in numbers. */
export function countsOf(report: UpkeepReport): Record<string, number> {
  return {
    created: report.created.length,
    signed: report.signed,
    sealed: report.sealed.length,
    expired: report.expired.length,
    postponed: report.postponed.length,
  };
}

async function statsOf(settings: Settings, { adapter: make }: Means): Promise<StatsJson> {
  await checkFolder(journalFolder(settings));
  return await openOr(settings, remoteStats, async () => {
    await using adapter = make(LOOKING);
    await adapter.init();
    const late = performance.now() + LOCATING_MS;
    while (true) {
      const stats = await adapter.stats();
      // Before a destination has said where it stands, all seems pending.
      const located = stats.destinations.every(({ state }) => !/^(new|locating)$/.test(state));
      if (located || performance.now() > late) return statsJson(stats);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  });
}

async function query(settings: Settings, sql: string): Promise<SqlRows> {
  return await databaseOr(settings, async (collector) => {
    const { body, headers } = await askCollector(collector, "/api/query", { sql });
    const lines = body.split("\n").slice(0, -1);
    return { lines, truncated: headers["otel-storage-truncated"] === "true" };
  }, async () => {
    await using owner = await connect(targetOf(settings));
    return await withReader(
      readerOptions(settings, owner),
      (reader) => querySql(reader, sql),
    );
  });
}

async function question(settings: Settings & AskCommand, output: Output): Promise<void> {
  await databaseOr(
    settings,
    (collector) => runQuestion(settings, askRemotely(collector), output),
    async () => {
      await using database = await connect(targetOf(settings));
      await runQuestion(settings, askDatabase(database), output);
    },
  );
}

async function follow(
  settings: Settings & AskCommand,
  { output, interruption }: Means,
): Promise<void> {
  await checkFolder(settings.dataDir);
  const find = () =>
    openOr(settings, (collector) => Promise.resolve(collector), async () => {
      using _lock = await lockFolder(settings.dataDir);
      throw new UsageError(
        `Cannot follow: no collector runs on ${settings.dataDir}; start it, or say with --data-dir ` +
          "which one is meant",
      );
    });
  await followLogs(settings, find, output, interruption());
}

/** How SQL from outside gets to the database. */
export function readerOptions(
  { database, readerDatabase }: Settings,
  owner: Database,
): ReaderOptions {
  return {
    owner,
    url: database,
    readerUrl: readerDatabase,
    statementTimeoutMs: QUERY_TIMEOUT_MS,
  };
}

function print({ lines, truncated }: SqlRows, { json, line, note }: Output): void {
  const text = (json ? lines.join("\n") : drawTable(lines)).trimEnd();
  if (text !== "") line(text);
  if (truncated) note(`stopped after ${lines.length} rows; there are more`);
}

async function deadLetters(
  settings: Settings & DeadLetterCommand,
  { output, adapter: make }: Means,
): Promise<void> {
  await checkFolder(letterFolder(settings));
  const run = (ops: DeadLetterOps) => runDeadLetters(settings, ops, output);
  const ask = (collector: CollectorAddress) => run(remoteDeadLetters(collector));
  if (settings.action === "replay") {
    return await openOr(settings, ask, async () => {
      await using adapter = make(LOOKING);
      await adapter.init();
      await run(await adapter.deadLetters());
    });
  }
  // To look at letters, or to drop them, nobody else has to be there.
  await openOr(settings, ask, async () => {
    using _lock = await lockFolder(settings.dataDir);
    const letters = await DeadLetters.open(diskFiles(letterFolder(settings)));
    await run({
      list: (filter) => letters.list(filter),
      read: (name) => letters.read(name),
      drop: (name) => letters.drop(name),
      replay: () => Promise.reject(new TypeError("Cannot replay without destinations")),
    });
  });
}

async function replay(settings: Settings & ReplayCommand, output: Output): Promise<void> {
  const calls = { signal: new AbortController().signal, clock: () => performance.now() };
  await databaseOr(settings, async (collector) => {
    await runReplay(settings, remoteReplay(collector), output, calls);
  }, async () => {
    await using database = await connect(targetOf(settings));
    await runReplay(
      settings,
      (request, following) => replayStored(database, request, following),
      output,
      calls,
    );
  });
}

/**
 * Asks the collector that has the folder, whatever its database is, or opens the embedded database
 * here. Reading makes neither.
 */
async function databaseOr<T>(
  settings: Settings,
  ask: (collector: CollectorAddress) => Promise<T>,
  open: () => Promise<T>,
): Promise<T> {
  if (settings.database !== undefined) return await open();
  // Where neither is, nobody was: to lock it would make it.
  await checkFolder(lockFile(settings.dataDir)).catch(() => checkFolder(embeddedFolder(settings)));
  return await openOr(settings, ask, async () => {
    using _lock = await lockFolder(settings.dataDir);
    await checkFolder(embeddedFolder(settings));
    return await open();
  });
}

/** Does it here, or asks the collector that has the folder. */
async function openOr<T>(
  { token }: Settings,
  ask: (collector: CollectorAddress) => Promise<T>,
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof FolderLockedError) || error.holder.url === undefined) throw error;
    return await ask({ url: error.holder.url, token });
  }
}
