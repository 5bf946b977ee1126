/**
 * The way to Postgres of a program that exports by itself: the database is tried until it comes.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import { type AdapterEvent, OTelStorageAdapter, type OTelStorageOptions } from "./adapter.ts";
import type { ExportStore } from "./export_delegate.ts";
import type { WriteResult } from "./intake.ts";
import { reasonOf } from "./reason.ts";
import type { Signal } from "./record.ts";

/** The first wait before the database is tried again, doubled each time, in milliseconds. */
const FIRST_WAIT_MS = 500;
/** The longest one. */
const LONGEST_WAIT_MS = 30_000;

/** An adapter that opens in the background, once {@linkcode StorageLeg.open} is called. */
export class StorageLeg implements ExportStore, AsyncDisposable {
  /** The adapter, also before it is open. */
  readonly adapter: OTelStorageAdapter;
  readonly #isOurs: boolean;
  readonly #onEvent: (event: AdapterEvent) => void;
  readonly #closing = new AbortController();
  readonly #opened = Promise.withResolvers<void>();

  /**
   * Checks the settings; nothing is opened yet.
   *
   * @param storage Settings, or an adapter that stays open when this is disposed.
   * @throws {RangeError} A setting is wrong.
   */
  constructor(
    storage: OTelStorageOptions | OTelStorageAdapter,
    onEvent: (event: AdapterEvent) => void,
  ) {
    this.#isOurs = !(storage instanceof OTelStorageAdapter);
    this.adapter = storage instanceof OTelStorageAdapter
      ? storage
      : new OTelStorageAdapter({ onEvent, ...storage });
    this.#onEvent = onEvent;
    // Who does not wait for it is told by `onEvent`.
    this.#opened.promise.catch(() => {});
  }

  /** Begins to open, where a context manager is registered: deliveries go on in this context, untraced. */
  open(): void {
    context.with(suppressTracing(ROOT_CONTEXT), () => this.#open())
      .then(this.#opened.resolve, this.#opened.reject);
  }

  async #open(): Promise<void> {
    const { signal } = this.#closing;
    for (let waitMs = FIRST_WAIT_MS;; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      try {
        return await this.adapter.init();
      } catch (error) {
        signal.throwIfAborted();
        this.#onEvent({
          level: "warn",
          message: "cannot open the storage, trying again",
          fields: { error: reasonOf(error), waitMs },
        });
        await delay(waitMs, undefined, { signal });
      }
    }
  }

  /** Resolves when it is open; rejects when it is disposed before. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Waits until it is open, and writes. */
  async write(
    signal: Signal,
    body: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): Promise<WriteResult> {
    await this.#opened.promise;
    return await this.adapter.write(signal, body, options);
  }

  /** Gives up opening, and closes an adapter of its own, which is bounded by its `closeGraceMs`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("Cannot store: telemetry was shut down"));
    if (this.#isOurs) await this.adapter.close();
  }
}
