/**
 * OpenTelemetry in your own Postgres: OTLP in, rows out, nothing lost on the way.
 *
 * The collector is a script (`@oneiric/otel-storage/collector`), its HTTP part a function
 * (`@oneiric/otel-storage/server`); what both stand on is here.
 *
 * @example Stop asking a database that is down
 * ```ts
 * import { CircuitBreaker, withRetry } from "@oneiric/otel-storage";
 * import assert from "node:assert/strict";
 *
 * const breaker = new CircuitBreaker({ failureThreshold: 5, cooldownMs: 60_000 });
 * const answer = await breaker.call(() => withRetry(() => "stored", { maxAttempts: 3 }));
 * assert.equal(answer, "stored");
 * ```
 *
 * @module
 */

export {
  type AdapterEvent,
  type AdapterStats,
  type DestinationStats,
  type ForwardSettings,
  type Health,
  OTelStorageAdapter,
  type OTelStorageOptions,
  UnavailableError,
  type UpkeepReport,
  type WriteResult,
} from "./src/adapter.ts";
export {
  CircuitBreaker,
  CircuitBreakerOpenError,
  type CircuitBreakerOptions,
  type CircuitState,
} from "./src/breaker.ts";
export { OtlpDecodeError, OtlpTooLargeError } from "./src/protobuf.ts";
export type { LogFilter, PointFilter, ReadOptions, Stored, StoredRecords } from "./src/query.ts";
export type * from "./src/record.ts";
export { classify, type Failure, withRetry, type WithRetryOptions } from "./src/retry.ts";
