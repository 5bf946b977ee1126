/** Whether anything was ever received. */

import type { ServiceList, StatsJson } from "../../frame/answers.ts";
import { ApiError, get } from "../../frame/api.ts";

/**
 * Whether the collector received something since it was started, or a service is known from before.
 *
 * @throws {ApiError} The API has no answer.
 */
export async function everReceived(signal: AbortSignal): Promise<boolean> {
  return await receivedSinceStart(signal) || await knowsService(signal);
}

async function receivedSinceStart(signal: AbortSignal): Promise<boolean> {
  try {
    const { received } = await get<StatsJson>("/api/stats", {}, signal);
    return received.traces + received.logs + received.metrics > 0;
  } catch (error) {
    // A server without a collector behind it has no numbers of one.
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

async function knowsService(signal: AbortSignal): Promise<boolean> {
  const { services } = await get<ServiceList>("/api/services", { since: "0", limit: 1 }, signal);
  return services.length > 0;
}
