/**
 * What an adapter is made of, put together.
 *
 * @module
 */

import { join } from "node:path";
import { journalEvent } from "./adapter_events.ts";
import type { AdapterSettings } from "./adapter_options.ts";
import { DeadLetters, type Letter } from "./dead_letters.ts";
import { DATABASE, Destinations } from "./destinations.ts";
import { openJournal } from "./disk_journal.ts";
import { Intake, type Settlement, UnavailableError } from "./intake.ts";
import type { Journal } from "./journal.ts";
import { diskFiles } from "./journal_files.ts";
import type { LetterOutcome } from "./letter_box.ts";
import { LogTail } from "./log_tail.ts";
import { memoryJournal } from "./memory_journal.ts";
import { Dimensions } from "./postgres/dimensions.ts";
import { type FolderLock, lockFolder } from "./postgres/folder_lock.ts";
import { chooseWidth } from "./postgres/partition_width.ts";
import { PreparedRows } from "./postgres/prepared_rows.ts";
import { speaksAgainstRecords } from "./postgres/sink.ts";
import { PostgresStore } from "./postgres/store.ts";
import { Transcoder } from "./postgres/transcode.ts";
import { reasonOf } from "./reason.ts";
import { RecordBuffer } from "./record_buffer.ts";
import { Refusals } from "./refusals.ts";
import { classify } from "./retry.ts";

/** How long those read on who still do when all is stored, in milliseconds. */
const READ_GRACE_MS = 1_000;
/**
 * How long a database is waited for where there is a journal on disk, in ms: long enough for one that is
 * there to say that it cannot be used. Receiving waits for it.
 */
const REACH_MS = 2_000;
/** When those who were not answered in time may come again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** The parts of an adapter. */
export interface AdapterParts {
  /** Absent without a `dataDir`, as the letters are. */
  readonly lock: FolderLock | undefined;
  readonly journal: Journal;
  readonly letters: DeadLetters | undefined;
  readonly store: PostgresStore;
  readonly destinations: Destinations;
  readonly intake: Intake;
  readonly buffer: RecordBuffer;
  /** Who follows the logs. */
  readonly tail: LogTail;
}

/**
 * Makes all parts in their order, and begins to deliver.
 *
 * @param opened Closes them, in the opposite order.
 * @throws {FolderLockedError} Another process uses the `dataDir`.
 * @throws {Error} The journal cannot be used; the message says why.
 * @throws {RangeError} The URL or a header of a forward is wrong.
 */
export async function assemble(
  settings: AdapterSettings,
  opened: AsyncDisposableStack,
): Promise<AdapterParts> {
  const { connectionString, pgliteDir, client, dataDir, partition, retentionDays } = settings;
  const lock = dataDir === undefined ? undefined : opened.use(await lockFolder(dataDir));
  const letters = dataDir === undefined
    ? undefined
    : await DeadLetters.open(diskFiles(join(dataDir, "dead-letters")));
  const refusals = new Refusals();
  const journal = opened.use(await openJournalFor(settings));
  const rows = new PreparedRows(new Transcoder(new Dimensions()));
  const store = opened.use(
    new PostgresStore({
      target: connectionString ?? (pgliteDir === undefined ? client! : { pgliteDir }),
      journal,
      rows,
      width: chooseWidth(partition, retentionDays).width,
      retentionDays,
      closeGraceMs: READ_GRACE_MS,
    }),
  );
  const destinations = opened.use(
    await Destinations.open({ journal, letters: letters ?? refusals, store, settings }),
  );
  const tail = new LogTail();
  if (!settings.retainJournal) journal.start();
  destinations.start();
  const settlement = dataDir === undefined
    ? settlementOf(destinations, refusals, settings)
    : undefined;
  const intake = new Intake(journal, rows, ({ signal, body, count, arrivalUnixNano }) => {
    if (signal === "logs") tail.offer(body, count, arrivalUnixNano);
  }, settlement);
  const buffer = new RecordBuffer({
    batchSize: settings.batchSize,
    batchIntervalMs: settings.batchIntervalMs,
    maxBytes: settings.maxBufferBytes,
    maxWaitMs: settings.maxRoomWaitMs,
    take: (signal, body, abort) => intake.take(signal, body, abort),
    onEvent: settings.onEvent,
  });
  return { lock, journal, letters, store, destinations, intake, buffer, tail };
}

async function openJournalFor(settings: AdapterSettings): Promise<Journal> {
  const { dataDir, journalMaxBytes, maxBufferBytes, maxRoomWaitMs, onEvent } = settings;
  if (dataDir === undefined) {
    return memoryJournal({ maxBytes: maxBufferBytes, maxWaitMs: maxRoomWaitMs });
  }
  return await openJournal(diskFiles(join(dataDir, "journal")), {
    maxBytes: journalMaxBytes,
    maxWaitMs: maxRoomWaitMs,
    onEvent: (event) => onEvent(journalEvent(event)),
  });
}

/**
 * Opens the database; where there is a journal on disk, it need not be there yet, and what is slow goes
 * on meanwhile.
 *
 * @throws The driver's error when it cannot be used, or not be reached where there is no such journal.
 */
export async function reach(
  store: PostgresStore,
  { dataDir, pgliteDir, onEvent }: AdapterSettings,
  signal: AbortSignal,
): Promise<void> {
  // An embedded one is here or nowhere.
  if (dataDir === undefined || pgliteDir !== undefined) {
    await store.open(signal);
    return;
  }
  const late = AbortSignal.timeout(REACH_MS);
  try {
    await store.open(AbortSignal.any([signal, late]));
  } catch (error) {
    if (signal.aborted || (!late.aborted && classify(error).kind !== "transient")) throw error;
    onEvent({
      level: "warn",
      message: "the database cannot be reached yet, keeping what comes in the journal",
      fields: { error: late.aborted ? `not ready within ${REACH_MS} ms` : reasonOf(error) },
    });
    if (late.aborted) void tellUnusable(store, onEvent);
  }
}

/** Says what would have ended the start, had it come in time. It is tried again as after any failure. */
async function tellUnusable(
  store: PostgresStore,
  onEvent: AdapterSettings["onEvent"],
): Promise<void> {
  try {
    await store.open();
  } catch (error) {
    // Of all others the delivery tells.
    if (classify(error).kind !== "permanent") return;
    onEvent({
      level: "error",
      message: "the database cannot be used, keeping what comes in the journal",
      fields: { error: reasonOf(error) },
    });
  }
}

/** How a request is waited for that a crash would lose until it is stored. */
function settlementOf(
  { database }: Destinations,
  refusals: Refusals,
  { maxBufferAgeMs }: AdapterSettings,
): Settlement {
  return {
    until: async (to, abort, { patient = false } = {}) => {
      const late = new AbortController();
      const timer = patient ? undefined : setTimeout(() => {
        late.abort(unavailable(`the database has not stored it within ${maxBufferAgeMs} ms`));
      }, maxBufferAgeMs);
      const signals = [late.signal, ...abort === undefined ? [] : [abort]];
      try {
        await database.drain(AbortSignal.any(signals), to);
      } catch (error) {
        if (signals.some(({ aborted }) => aborted)) throw error;
        throw unavailable("shutting down", error);
      } finally {
        clearTimeout(timer);
      }
    },
    refusal: (position) => refusals.of(position),
  };
}

/** Gives a dead letter to its destination once more. */
export async function resend(
  store: PostgresStore,
  destinations: Destinations,
  { head, body }: Letter,
  signal: AbortSignal = new AbortController().signal,
): Promise<LetterOutcome> {
  const { destination } = head;
  if (destination === DATABASE) {
    try {
      await store.storeLetter(head, body, signal);
      return { outcome: "replayed", reason: "" };
    } catch (error) {
      if (!speaksAgainstRecords(error)) throw error;
      return { outcome: "refused", reason: reasonOf(error) };
    }
  }
  const forward = destinations.forward(destination);
  if (forward === undefined) {
    throw new RangeError(
      `Cannot replay the dead letter ${head.name}: there is no destination '${destination}', ` +
        "configure it or drop the letter",
    );
  }
  const answer = await forward.send(head.signal, body, signal);
  return answer.kind === "taken"
    ? { outcome: "replayed", reason: answer.note }
    : { outcome: "refused", reason: answer.reason };
}

/** What the sender of a request is told who may send it again. */
export function unavailable(why: string, cause?: unknown): UnavailableError {
  return new UnavailableError(
    `Cannot store the request: ${why}; send it again later`,
    RETRY_AFTER_MS,
    { cause },
  );
}
