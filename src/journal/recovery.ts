/**
 * What a journal finds in its folder when it is opened, and how it deals with it.
 *
 * Whatever is found, nothing that was acknowledged and can still be read is lost, and nothing is
 * deleted but what is known to be left over. The format is looked at before anything is changed.
 *
 * Only the last group of records may not be durable: the process may have been killed before its sync
 * came back, or after that had failed, and then another sync would say that all is well. So the group
 * is written again, to a file that takes its place, before anybody can read it.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { decodeCursor, decodeNote, isCursorFile, isNoteFile } from "./cursor.ts";
import { DAMAGED, type DamageLog } from "./damage.ts";
import { type Counts, JournalFormatError, type Unkept } from "../journal.ts";
import type { Tell } from "./tell.ts";
import { codeOf, type JournalFile, type JournalFiles, replaceFile } from "../journal_files.ts";
import { isKeyFile, type KeyFiles } from "./keys.ts";
import {
  type Found,
  NO_COUNTS,
  plus,
  scan,
  type Segment,
  segmentName,
  segmentStart,
  type StoredRecord,
} from "./segment.ts";
import type { ResendWindow } from "./resend_window.ts";
import { decodeTally, NOTHING, TALLY_FILE } from "./tally.ts";

/** What was found. */
export interface Recovered {
  /** The id of the journal. */
  readonly id: string;
  /** Oldest first. */
  readonly segments: Segment[];
  /** The newest segment, open for appending; undefined if there is none. */
  readonly file: JournalFile | undefined;
  /** Valid records since the journal began. */
  readonly accepted: Counts;
  /** Records that came in and are not there. */
  readonly unkept: Unkept;
  /** Positions by cursor file; undefined for a damaged one. */
  readonly cursors: Map<string, bigint | undefined>;
  /** Notes by their files; undefined for a damaged one. */
  readonly notes: Map<string, string | undefined>;
}

const ID_FILE = "id";
const FORMAT = 1;
const TEMPORARY = ".tmp";
/** The longest note. */
const MAX_NOTE_BYTES = 4 << 20;
/** Read to see what a segment begins with. */
const PEEK_BYTES = 64 << 10;

/** Finds out what is in a folder, and puts it in order. */
export class Recovery {
  readonly #files: JournalFiles;
  readonly #window: ResendWindow;
  readonly #keys: KeyFiles;
  readonly #damage: DamageLog;
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #tell: Tell;
  #accepted = NO_COUNTS;

  constructor(parts: {
    readonly files: JournalFiles;
    readonly window: ResendWindow;
    readonly keys: KeyFiles;
    readonly damage: DamageLog;
    readonly windowMs: number;
    readonly now: () => number;
    readonly tell: Tell;
  }) {
    this.#files = parts.files;
    this.#window = parts.window;
    this.#keys = parts.keys;
    this.#damage = parts.damage;
    this.#windowMs = parts.windowMs;
    this.#now = parts.now;
    this.#tell = parts.tell;
  }

  /** @throws {JournalFormatError} If the folder is of another version; nothing was changed. */
  async run(): Promise<Recovered> {
    const names = (await this.#files.list()).sort();
    const id = await this.#readId(names.includes(ID_FILE));
    const sizes = await this.#sizesOf(names);
    const cursors = new Map<string, bigint | undefined>();
    for (const name of [...sizes.keys()].filter(isCursorFile)) {
      cursors.set(name, decodeCursor(await this.#files.read(name)));
    }
    const notes = new Map<string, string | undefined>();
    for (const name of [...sizes.keys()].filter(isNoteFile)) {
      // The first bytes of a longer one are not what its checksum is of.
      notes.set(name, decodeNote(await this.#files.read(name, 0, MAX_NOTE_BYTES)));
    }
    const segments = await this.#chain(sizes);
    await this.#keys.load([...sizes.keys()].filter(isKeyFile), segments[0]?.start ?? 0n);
    const file = await this.#replay(segments);
    return {
      id: id ?? await this.#newId(),
      segments,
      file,
      accepted: this.#accepted,
      unkept: sizes.has(TALLY_FILE) ? await this.#readTally() : NOTHING,
      cursors,
      notes,
    };
  }

  /** Undefined if there is none. */
  async #readId(exists: boolean): Promise<string | undefined> {
    if (!exists) return undefined;
    let text;
    try {
      text = new TextDecoder().decode(await this.#files.read(ID_FILE, 0, 1000));
    } catch (error) {
      if (codeOf(error) !== "EISDIR") throw error;
      return undefined;
    }
    const [, format, id] =
      /^otel-storage journal format (\d+)\n(?:([0-9a-f-]{36})\n)?/.exec(text) ??
        [];
    if (format !== undefined && Number(format) !== FORMAT) {
      throw new JournalFormatError(
        `Cannot open the journal: its folder has format ${format}, this version reads ${FORMAT}; ` +
          "use the version that wrote it, or another folder",
      );
    }
    return id;
  }

  async #readTally(): Promise<Unkept> {
    const found = decodeTally(await this.#files.read(TALLY_FILE, 0, MAX_NOTE_BYTES));
    if (found === undefined) {
      const message =
        "The journal has a tally that cannot be read: what was rejected and sent again " +
        "is counted from 0";
      this.#tell("note lost", message);
    }
    return found ?? NOTHING;
  }

  async #newId(): Promise<string> {
    const id = randomUUID();
    const text = `otel-storage journal format ${FORMAT}\n${id}\n`;
    await replaceFile(this.#files, ID_FILE, new TextEncoder().encode(text));
    this.#tell("new id", `The folder had no journal id: it is ${id} from now on`);
    return id;
  }

  /** The sizes of the files that are the journal's. All else is told, put aside or removed. */
  async #sizesOf(names: readonly string[]): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const junk: string[] = [];
    for (const name of names) {
      const base = name.endsWith(TEMPORARY) ? name.slice(0, -TEMPORARY.length) : name;
      if (name.startsWith(DAMAGED)) continue;
      if (!isOurs(base)) {
        junk.push(name);
        continue;
      }
      try {
        const size = await this.#files.size(name);
        if (base === name) sizes.set(name, size);
        else await this.#files.remove(name);
      } catch (error) {
        if (codeOf(error) !== "EISDIR") throw error;
        await this.#damage.setAsideFile(name, "it is not a file");
      }
    }
    if (junk.length > 0) {
      const some = junk.slice(0, 10).join(", ") + (junk.length > 10 ? ", …" : "");
      this.#tell(
        "junk",
        `The folder has ${junk.length} things that are not the journal's: ${some}`,
      );
    }
    return sizes;
  }

  /** The segments in their order, each ending where the next begins at the latest. */
  async #chain(sizes: ReadonlyMap<string, number>): Promise<Segment[]> {
    const segments: Segment[] = [];
    for (const [name, size] of sizes) {
      const start = segmentStart(name);
      if (start === undefined) continue;
      const before = segments.at(-1);
      if (before !== undefined && start < before.end) {
        if (await this.#crosses(before, start)) {
          await this.#damage.setAsideFile(name, `segment ${segmentName(before.start)} is there`);
          continue;
        }
        before.end = start;
      }
      if (before !== undefined && before.end < start) this.#damage.gap(before.end, start);
      segments.push({ start, end: start + BigInt(size) });
    }
    return segments;
  }

  /**
   * Whether a record of a segment reaches over a position. A segment that follows another begins
   * between two records of it, so one that does not is a copy under a wrong name.
   */
  async #crosses(segment: Segment, position: bigint): Promise<boolean> {
    for await (const found of scan(this.#files, segment)) {
      if (found.next > position) return "body" in found && found.position < position;
    }
    return false;
  }

  /** Reads what is needed to go on, and opens the newest segment with its torn end cut off. */
  async #replay(segments: Segment[]): Promise<JournalFile | undefined> {
    const newest = segments.at(-1);
    if (newest === undefined) return undefined;
    let first = segments.length - 1;
    while (first > 0 && await this.#isNeeded(segments[first]!)) first--;
    for (const segment of segments.slice(first, -1)) {
      for await (const found of scan(this.#files, segment)) await this.#take(segment, found);
    }
    const size = newest.end - newest.start;
    const group = await this.#replayNewest(newest);
    const cut = newest.start + size - newest.end;
    if (cut > 0n) {
      const name = segmentName(newest.start);
      this.#tell("torn tail", `Segment ${name} ends with ${cut} bytes never acknowledged: cut off`);
    }
    try {
      return await this.#writeAgain(segments, newest, group);
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
      // Without any space left this is the best there is.
      const file = await this.#cutOff(newest);
      await file.sync();
      return file;
    }
  }

  /** Begins a segment with the last group of the newest one, from a position to its end. */
  async #writeAgain(segments: Segment[], newest: Segment, group: bigint): Promise<JournalFile> {
    const { start, end } = newest;
    const last = await this.#files.read(
      segmentName(start),
      Number(group - start),
      Number(end - group),
    );
    await replaceFile(this.#files, segmentName(group), last);
    if (group > start) {
      newest.end = group;
      segments.push({ start: group, end });
      // What the old one has there is void, so it does not matter whether this is done.
      const old = await this.#cutOff(newest).catch(() => undefined);
      await old?.close();
    }
    return await this.#files.open(segmentName(group));
  }

  async #cutOff({ start, end }: Segment): Promise<JournalFile> {
    const file = await this.#files.open(segmentName(start));
    try {
      await file.truncate(Number(end - start));
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whether segments before this one may have recent keys, or are the last to have a record. */
  async #isNeeded(segment: Segment): Promise<boolean> {
    const { value } = await scan(this.#files, segment, segment.start, PEEK_BYTES).next();
    if (value === undefined || !("body" in value)) return true;
    return this.#now() - unixMs(value) < this.#windowMs;
  }

  /**
   * Ends the newest segment before the first bytes of its last group that are bad. Returns where the
   * last group begins.
   */
  async #replayNewest(segment: Segment): Promise<bigint> {
    let group = segment.start;
    /** From the first bad bytes on that no later group has shown to have been durable. */
    let doubtful: Found[] = [];
    for await (const found of scan(this.#files, segment)) {
      if ("body" in found && doubtful.length > 0) {
        const durable = doubtful.filter(({ position }) => position < found.group);
        for (const earlier of durable) await this.#take(segment, earlier);
        doubtful = doubtful.slice(durable.length);
      }
      if ("body" in found && doubtful.length === 0) {
        await this.#take(segment, found);
        group = found.group;
      } else {
        doubtful.push(found);
      }
    }
    segment.end = doubtful[0]?.position ?? segment.end;
    return group;
  }

  async #take(segment: Segment, found: Found): Promise<void> {
    if ("body" in found) this.#takeRecord(found);
    else await this.#damage.setAside(segment, found);
  }

  #takeRecord(record: StoredRecord): void {
    const { key, position, signal, count, before } = record;
    this.#window.add({ key, position, arrivalMs: this.#keys.monotonic(unixMs(record)) });
    this.#accepted = plus(before, signal, count);
  }
}

function isOurs(name: string): boolean {
  return name === ID_FILE || name === TALLY_FILE || isCursorFile(name) || isNoteFile(name) ||
    isKeyFile(name) ||
    segmentStart(name) !== undefined;
}

function unixMs({ arrivalUnixNano }: StoredRecord): number {
  return Number(arrivalUnixNano / 1_000_000n);
}
