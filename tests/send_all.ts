/**
 * Sends requests to a collector, several at a time.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Signal } from "../src/record.ts";

/** A request; its body is protobuf unless its headers say otherwise. */
export interface SentRequest {
  readonly signal: Signal;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const AT_A_TIME = 16;

/** Sends each once; all have to be answered with 200. */
export async function sendAll(url: string, requests: readonly SentRequest[]): Promise<void> {
  const rest = requests.values();
  using client = Deno.createHttpClient({});
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    for (const { signal, body, headers } of rest) {
      const response = await fetch(`${url}/v1/${signal}`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf", ...headers },
        body,
        client,
      });
      const answer = await response.text();
      assert.equal(response.status, 200, answer);
    }
  }));
}
