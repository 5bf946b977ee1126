/**
 * The load of the crash harness: clients that send numbered requests over connections of their own,
 * know which were acknowledged, and send again as clients do.
 *
 * @module
 */

import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import type { Signal } from "../src/record.ts";
import { type NumberedRequest, RequestMaker } from "./crash_requests.ts";

/** What is known of a request. */
export interface Sent {
  readonly signal: Signal;
  /** Number of its first record. */
  readonly first: number;
  readonly count: number;
  /** Whether one of its sendings was answered with 200. */
  acknowledged: boolean;
}

/** How the load behaves. */
export interface LoadOptions {
  readonly random: () => number;
  /** Clients, each with one connection. @default {8} */
  readonly connections?: number;
  /** Records of the largest requests. @default {300} */
  readonly maxRecords?: number;
}

/** How requests went, by sendings. */
export interface LoadCounts {
  acknowledged: number;
  /** Answered with 429 or 503. */
  refused: number;
  /** The collector was killed before it answered. */
  unanswered: number;
  /** Sendings of what had been sent before. */
  again: number;
  /** Of them those of what had been acknowledged. */
  needless: number;
}

/** Of requests without an answer so many are given up: their clients are gone. */
const GIVEN_UP = 0.1;
/** Of the acknowledged ones so many are sent again all the same. */
const NEEDLESS = 0.05;
/** Of new ones so many are sent by two clients at once. */
const TWINS = 0.03;
/** A client that was refused waits so long. */
const REFUSED_MS = 50;
/** Between two requests a client waits up to so long: the load is bounded by the clients. */
const PAUSE_MS = 30;

type Task = NumberedRequest & { readonly sent: Sent };

/** A load. */
export class Load {
  /** Every request that was sent at least once. */
  readonly sent: Sent[] = [];
  readonly counts: LoadCounts = {
    acknowledged: 0,
    refused: 0,
    unanswered: 0,
    again: 0,
    needless: 0,
  };
  /** Records of the acknowledged requests, each counted once. */
  readonly acknowledged: Record<Signal, number> = { traces: 0, logs: 0, metrics: 0 };

  readonly #random: () => number;
  readonly #maker: RequestMaker;
  readonly #connections: number;
  /** To be sent again. */
  #again: Task[] = [];

  constructor({ random, connections = 8, maxRecords = 300 }: LoadOptions) {
    this.#random = random;
    this.#connections = connections;
    this.#maker = new RequestMaker(random, maxRecords);
  }

  /** Records sent, acknowledged or not. */
  records(signal: Signal): number {
    const last = this.sent.findLast((sent) => sent.signal === signal);
    return last === undefined ? 0 : last.first + last.count - 1;
  }

  /**
   * Sends until `killed` aborts, which has to happen before the collector dies.
   *
   * @throws A connection broke before, or an answer was neither 200 nor 429 nor 503.
   */
  async send(url: string, killed: AbortSignal): Promise<void> {
    await this.#clients(url, killed, () => this.#old() ?? this.#new());
  }

  /**
   * Sends again what is to be sent again, until all of it is acknowledged.
   *
   * @throws `signal` has aborted before that.
   */
  async finish(url: string, signal: AbortSignal): Promise<void> {
    while (this.#again.length > 0) {
      if (signal.aborted) {
        throw new Error(`${this.#again.length} requests are still to be sent again`);
      }
      await this.#clients(url, signal, () => this.#old());
    }
  }

  async #clients(
    url: string,
    until: AbortSignal,
    choose: () => Task | undefined,
  ): Promise<void> {
    const client = async () => {
      using connection = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
      for (let task; !until.aborted && (task = choose()) !== undefined;) {
        await this.#attempt(connection, url, task, until);
        await pause(this.#random() * PAUSE_MS, until);
      }
    };
    await Promise.all(Array.from({ length: this.#connections }, client));
  }

  #old(): Task | undefined {
    if (this.#again.length === 0) return undefined;
    const [task] = this.#again.splice(Math.floor(this.#random() * this.#again.length), 1);
    this.counts.again++;
    if (task!.sent.acknowledged) this.counts.needless++;
    return task;
  }

  #new(): Task {
    const request = this.#maker.next();
    const { signal, first, count } = request;
    const sent: Sent = { signal, first, count, acknowledged: false };
    this.sent.push(sent);
    const task = { ...request, sent };
    if (this.#random() < TWINS) this.#again.push(task);
    return task;
  }

  async #attempt(
    client: Deno.HttpClient,
    url: string,
    task: Task,
    until: AbortSignal,
  ): Promise<void> {
    const { signal, headers, body, sent } = task;
    let status: number;
    let answer: string;
    try {
      const response = await fetch(`${url}/v1/${signal}`, {
        method: "POST",
        headers,
        body,
        client,
      });
      status = response.status;
      answer = await response.text();
    } catch (error) {
      if (!until.aborted) throw error;
      this.counts.unanswered++;
      if (this.#random() >= GIVEN_UP) this.#again.push(task);
      return;
    }
    if (status === 429 || status === 503) {
      this.counts.refused++;
      this.#again.push(task);
      await pause(REFUSED_MS, until);
      return;
    }
    // A complete success is an empty message, which in JSON is an empty object.
    assert.deepEqual([status, answer.replace("{}", "")], [200, ""], `${status}: ${answer}`);
    this.counts.acknowledged++;
    if (!sent.acknowledged) this.acknowledged[signal] += sent.count;
    sent.acknowledged = true;
    if (this.#random() < NEEDLESS) this.#again.push(task);
  }
}

/** Waits, or until the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, { signal }).catch(() => {});
}
