/**
 * What the exporters of the three signals have in common: a batch of the SDK becomes an OTLP request,
 * and the SDK is told how it ended once the request is durable.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { context, diag } from "@opentelemetry/api";
import { ExportResultCode, suppressTracing } from "@opentelemetry/core";
import * as z from "zod";
import type { WriteResult } from "./intake.ts";
import { refusedOption } from "./option_error.ts";
import type { Signal } from "./record.ts";

/** Where exported telemetry goes; an `OTelStorageAdapter` is one. */
export interface ExportStore {
  /**
   * Takes an OTLP request in protobuf. Resolves when nothing of it can be lost any more; rejects with
   * an error that has a number `retryAfterMs` when the same may be sent again.
   */
  write(
    signal: Signal,
    body: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): Promise<WriteResult>;
}

/** Told how an export ended: 0 is success, 1 failure. An `ExportResult` of `@opentelemetry/core`. */
export type ExportDone = (result: { readonly code: 0 | 1; readonly error?: Error }) => void;

/** Settings of an exporter. */
export interface StorageExporterOptions {
  /**
   * How long a batch may take to become durable before it is reported as failed, and how long
   * `forceFlush` and `shutdown` wait at most; in milliseconds, 1 to 600,000.
   *
   * @default {30_000}
   */
  readonly timeoutMs?: number;
  /**
   * How many bytes of requests may be on their way at once. What comes beyond is reported as failed at
   * once: the SDK drops it, and says so.
   *
   * @default {67_108_864}
   */
  readonly maxPendingBytes?: number;
}

const OPTIONS = z.strictObject({
  timeoutMs: z.number().int().min(1).max(600_000).default(30_000),
  maxPendingBytes: z.number().int().min(1).default(64 << 20),
});

/** Writes a batch as an OTLP request in protobuf; undefined when it cannot be written. */
export interface RequestSerializer<Batch> {
  serializeRequest(batch: Batch): Uint8Array | undefined;
}

/** Sends the batches of one exporter. */
export class ExportDelegate<Batch> {
  readonly #signal: Signal;
  readonly #serializer: RequestSerializer<Batch>;
  readonly #store: ExportStore;
  readonly #timeoutMs: number;
  readonly #maxPendingBytes: number;
  readonly #pending = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #pendingBytes = 0;
  #shutdown: Promise<void> | undefined;

  /** @throws {RangeError} An option is unknown or out of range; the message names it and its value. */
  constructor(
    signal: Signal,
    serializer: RequestSerializer<Batch>,
    store: ExportStore,
    options: StorageExporterOptions,
  ) {
    const { data, error } = OPTIONS.safeParse(options);
    if (error !== undefined) throw refusedOption("create an exporter", error, options);
    this.#signal = signal;
    this.#serializer = serializer;
    this.#store = store;
    this.#timeoutMs = data.timeoutMs;
    this.#maxPendingBytes = data.maxPendingBytes;
  }

  /** Takes a batch. Never throws; `done` is told when it is durable, or why it is not. */
  export(batch: Batch, done: ExportDone): void {
    const fail = (error: unknown) =>
      done({
        code: ExportResultCode.FAILED,
        error: error instanceof Error ? error : new Error(String(error)),
      });
    if (this.#shutdown !== undefined) return fail(new Error("Cannot export: it was shut down"));
    let body: Uint8Array | undefined;
    try {
      body = this.#serializer.serializeRequest(batch);
    } catch (error) {
      return fail(error);
    }
    if (body === undefined) return fail(new Error("Cannot export: the batch cannot be serialized"));
    const { length } = body;
    if (this.#pendingBytes > 0 && this.#pendingBytes + length > this.#maxPendingBytes) {
      const error = new Error(
        `Cannot export: ${this.#pendingBytes} bytes are on their way, with the batch more than the ` +
          `${this.#maxPendingBytes} of maxPendingBytes`,
      );
      return fail(error);
    }
    this.#pendingBytes += length;
    // What stores it is not to be traced, which would have to be stored, and so on.
    const sent = context.with(suppressTracing(context.active()), () => this.#send(body))
      .then(() => () => done({ code: ExportResultCode.SUCCESS }), (error) => () => fail(error))
      .then((tell) => {
        this.#pendingBytes -= length;
        this.#pending.delete(sent);
        tell();
      });
    this.#pending.add(sent);
  }

  async #send(body: Uint8Array): Promise<void> {
    const late = new AbortController();
    const error = new Error(`Cannot export: it is not durable after ${this.#timeoutMs} ms`);
    const timer = setTimeout(() => late.abort(error), this.#timeoutMs);
    const signal = AbortSignal.any([late.signal, this.#ending.signal]);
    try {
      const { rejected, message } = await this.#write(body, signal);
      if (rejected > 0) diag.warn(`${rejected} records were rejected`, message);
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(body: Uint8Array, signal: AbortSignal): Promise<WriteResult> {
    while (true) {
      try {
        return await orAborted(this.#store.write(this.#signal, body, { signal }), signal);
      } catch (error) {
        signal.throwIfAborted();
        const { retryAfterMs } = Object(error) as { readonly retryAfterMs?: unknown };
        if (typeof retryAfterMs !== "number") throw error;
        await delay(retryAfterMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    }
  }

  /** Resolves when all that was exported is durable or has failed, after `timeoutMs` at the latest. */
  async forceFlush(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, this.#timeoutMs));
    await Promise.race([Promise.allSettled(this.#pending), late]);
    clearTimeout(timer);
  }

  /** Takes no more, and waits like {@linkcode forceFlush}; what is left then fails. Idempotent. */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.forceFlush().then(() =>
      this.#ending.abort(new Error("Cannot export: it was shut down"))
    );
  }
}

/** The same, given up at once when the signal aborts. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
