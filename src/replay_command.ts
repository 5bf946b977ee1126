/**
 * `replay --to URL`: sends what is stored to a destination, and shows how far it is.
 *
 * @module
 */

import type { Replay, ReplayProgress, ReplayRequest } from "./admin.ts";
import { progressJson } from "./admin_json.ts";
import type { Output } from "./output.ts";
import { progressBar, progressText } from "./progress_bar.ts";
import { printable } from "./sql_table.ts";

/** How often a bar is drawn, in milliseconds. */
const DRAW_MS = 100;
/** How often a line is written where there is no terminal, in milliseconds. */
const LINE_MS = 5_000;

/**
 * Replays, and tells of it: a bar on a terminal, a line every few seconds elsewhere, and at the end
 * a line a signal.
 *
 * @param replay Here or at a collector that runs.
 * @param clock A monotonic clock, in milliseconds.
 * @throws {Error} The destination did not take everything; how much was written before.
 * @throws What the replay throws.
 */
export async function runReplay(
  request: ReplayRequest,
  replay: Replay,
  output: Output,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: () => number },
): Promise<void> {
  const begun = new Map<ReplayProgress["signal"], number>();
  const isDrawn = output.columns !== undefined && !output.json;
  let told = -Infinity;
  /** One signal follows on the other. */
  let last = clock();
  const onProgress = (progress: ReplayProgress) => {
    const now = clock();
    if (!begun.has(progress.signal)) begun.set(progress.signal, last);
    last = now;
    if (now - told < (isDrawn ? DRAW_MS : LINE_MS)) return;
    told = now;
    const elapsedMs = now - begun.get(progress.signal)!;
    if (output.json) output.line(JSON.stringify({ progress: progressJson(progress) }));
    else if (isDrawn) output.draw(barOf(progress, elapsedMs, output.columns!));
    else output.note(lineOf(progress, elapsedMs));
  };
  let results: readonly ReplayProgress[];
  try {
    results = await replay(request, { signal, onProgress });
  } finally {
    if (isDrawn) output.draw("");
  }
  for (const result of results) tell(result, output);
  const left = results.reduce((sum, { rejected, refused }) => sum + rejected + refused, 0);
  if (left > 0) {
    throw new Error(
      `Cannot replay everything: ${recordsText(left)} not taken by ${hostOf(request)}`,
    );
  }
}

function barOf(progress: ReplayProgress, elapsedMs: number, columns: number): string {
  const name = progress.signal.padEnd("metrics ".length);
  // A terminal goes to the next line when the last column is written.
  return name + progressBar(asDone(progress, elapsedMs), columns - name.length - 1);
}

function lineOf(progress: ReplayProgress, elapsedMs: number): string {
  return `${progress.signal}: ${progressText(asDone(progress, elapsedMs))}`;
}

function asDone({ sent, rejected, refused, total }: ReplayProgress, elapsedMs: number) {
  return { done: sent + rejected + refused, total, elapsedMs };
}

function tell(result: ReplayProgress, output: Output): void {
  if (output.json) {
    output.line(JSON.stringify({ result: progressJson(result) }));
    return;
  }
  const { signal, sent, rejected, refused, requests, reasons } = result;
  const not = [
    rejected > 0 ? `, ${rejected} rejected` : "",
    refused > 0 ? `, ${refused} refused` : "",
  ].join("");
  output.line(
    `${signal}: ${recordsText(sent)} sent in ${requests} ` +
      `${requests === 1 ? "request" : "requests"}${not}`,
  );
  for (const [reason, count] of reasons) output.line(`  ${count}: ${printable(reason)}`);
}

function recordsText(count: number): string {
  return `${count} ${count === 1 ? "record" : "records"}`;
}

/** Without what may be secret. */
function hostOf({ to }: ReplayRequest): string {
  return URL.parse(to)?.host ?? "the destination";
}
