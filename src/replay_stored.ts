/**
 * A replay as it is asked for on a command line or over HTTP.
 *
 * @module
 */

import type { ReplayCalls, ReplayProgress, ReplayRequest } from "./admin.ts";
import { parseFilter } from "./filter.ts";
import { Destination, type DestinationOptions } from "./forward_request.ts";
import type { Database } from "./postgres/database.ts";
import { replay } from "./replay.ts";

/**
 * Sends what is stored to where it was asked for.
 *
 * @param own Where this process listens: nothing is replayed to itself.
 * @returns How each signal went.
 * @throws {RangeError} The URL or a header is wrong.
 * @throws {FilterError} The filter is none.
 * @throws {ReplayError} It ended early; the message says where to go on.
 */
export async function replayStored(
  database: Database,
  request: ReplayRequest,
  { signal, onProgress }: ReplayCalls,
  own?: DestinationOptions["own"],
): Promise<readonly ReplayProgress[]> {
  const { to, headers, since, until, signals, filter } = request;
  const destination = new Destination({ url: to, headers, ...own && { own } });
  return await replay(database, destination, {
    signals,
    filter: parseFilter(filter),
    ...since === undefined ? {} : { since },
    ...until === undefined ? {} : { until },
    abort: signal,
    onProgress,
  });
}
