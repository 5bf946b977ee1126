/**
 * The range and the windows in which tests ask for the metrics of `metric_requests.ts`.
 *
 * @module
 */

import type { Window } from "./metric_oracle.ts";
import { FIRST } from "./metric_requests.ts";
import { TIME } from "./one_record.ts";

/** Does not begin with the data, and does not end with a whole window. */
export const SINCE: bigint = FIRST + 95_000_000_000n;
export const UNTIL: bigint = TIME - 12_000_000_000n;
export const STEP = 60_000_000_000n;
export const WINDOWS: Window[] = [];
for (let from = SINCE; from < UNTIL; from += STEP) {
  WINDOWS.push({ from, to: from + STEP < UNTIL ? from + STEP : UNTIL });
}
