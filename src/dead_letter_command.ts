/**
 * `dead-letters list|show|replay|drop`.
 *
 * @module
 */

import type { DeadLetterOps, Letter, LetterHead } from "./admin.ts";
import { headJson } from "./admin_json.ts";
import type { DeadLetterCommand } from "./collector_command.ts";
import { DamagedLetterError, type LetterFilter } from "./dead_letters.ts";
import { decodeRequest, requestToJson } from "./otlp.ts";
import type { Output } from "./output.ts";
import { drawTable, printable } from "./sql_table.ts";
import { timeText } from "./time_text.ts";

/** As many as there can be. */
const ALL_LETTERS = 1_000_000;
const DEFAULT_LIMIT = 1_000;
/** A reason is cut in a table, a name never: it is what `show` takes. */
const REASON_WIDTH = 80;

/** What became of one letter. */
type Outcome = "replayed" | "refused" | "dropped" | "failed";

/**
 * Does what was asked, and tells of it.
 *
 * @param ops The letters, here or at a collector that runs.
 * @throws {Error} Some letters were not replayed or dropped; what became of each was written before.
 * @throws What the operations throw that is not about one letter; those before it are done.
 */
export async function runDeadLetters(
  command: DeadLetterCommand,
  ops: DeadLetterOps,
  output: Output,
): Promise<void> {
  switch (command.action) {
    case "list":
      return await list(command.choice, ops, output);
    case "show":
      return show(await ops.read(command.name), output);
    case "replay":
      return await each(command.action, await namesOf(command, ops), output, async (name) => {
        return await ops.replay(name);
      });
    case "drop":
      return await each(command.action, await namesOf(command, ops), output, async (name) => {
        const dropped = await ops.drop(name);
        return dropped
          ? { outcome: "dropped", reason: "" }
          : { outcome: "failed", reason: "there is no such letter" };
      });
  }
}

async function list(choice: LetterFilter, ops: DeadLetterOps, output: Output): Promise<void> {
  const { letters, damaged } = await ops.list(choice);
  if (output.json) {
    for (const head of letters) output.line(JSON.stringify(headJson(head)));
  } else {
    output.line(drawTable(letters.map(rowOf), { cellWidth: Infinity }).trimEnd());
  }
  for (const { name, reason } of damaged) output.note(`${printable(name)}: ${printable(reason)}`);
  const limit = choice.limit ?? DEFAULT_LIMIT;
  if (letters.length + damaged.length >= limit) {
    output.note(`stopped after ${limit} letters; there may be more, say --limit`);
  }
}

function rowOf(head: LetterHead): string {
  const { name, destination, signal, count, attempts } = head;
  const arrival = timeText(head.arrivalUnixNano);
  const reason = head.reason.length <= REASON_WIDTH
    ? head.reason
    : `${head.reason.slice(0, REASON_WIDTH - 1)}…`;
  return JSON.stringify({ name, destination, signal, count, attempts, arrival, reason });
}

function show({ head, body }: Letter, output: Output): void {
  const records = requestToJson(head.signal, decodeRequest(head.signal, body));
  if (output.json) {
    // The records are JSON already, with numbers of any size.
    output.line(`{"head":${JSON.stringify(headJson(head))},"body":${records}}`);
    return;
  }
  const { arrivalUnixNano, diedAtMs, ...rest } = head;
  const fields = Object.entries({
    ...rest,
    arrival: timeText(arrivalUnixNano),
    died: new Date(diedAtMs).toISOString(),
  });
  for (const [name, value] of fields) {
    output.line(`${`${name}:`.padEnd(13)}${printable(`${value}`)}`);
  }
  output.line("");
  output.line(printable(records));
}

/** By name, or all that the choice lets through, damaged ones to be dropped included. */
async function namesOf(
  command: DeadLetterCommand & { readonly action: "replay" | "drop" },
  ops: DeadLetterOps,
): Promise<readonly string[]> {
  const { action, names, choice } = command;
  if (names.length > 0) return names;
  const { letters, damaged } = await ops.list({ limit: ALL_LETTERS, ...choice });
  // What cannot be read shows no signal and no reason, so nobody chose it by them.
  const isChosen = choice.signal === undefined && choice.reason === undefined;
  const dropped = action === "drop" && isChosen ? damaged : [];
  return [...letters, ...dropped].map(({ name }) => name);
}

async function each(
  action: "replay" | "drop",
  names: readonly string[],
  output: Output,
  act: (name: string) => Promise<{ readonly outcome: Outcome; readonly reason: string }>,
): Promise<void> {
  const counts = new Map<Outcome, number>();
  const sum = () => {
    const parts = [...counts].map(([outcome, count]) => `${count} ${outcome}`);
    output.note(`${parts.join(", ") || "nothing"} of ${lettersText(names.length)}`);
  };
  for (const name of names) {
    let result: { readonly outcome: Outcome; readonly reason: string };
    try {
      result = await act(name);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof DamagedLetterError)) {
        sum();
        throw error;
      }
      result = { outcome: "failed", reason: error.message };
    }
    const { outcome, reason } = result;
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    output.line(
      output.json
        ? JSON.stringify({ name, outcome, reason })
        : printable(`${name} ${outcome}${reason === "" ? "" : `: ${reason}`}`),
    );
  }
  sum();
  const left = (counts.get("refused") ?? 0) + (counts.get("failed") ?? 0);
  if (left > 0) throw new Error(`Cannot ${action} ${left} of ${lettersText(names.length)}`);
}

function lettersText(count: number): string {
  return `${count} ${count === 1 ? "letter" : "letters"}`;
}
