/**
 * Our server over a new store, on a port of this machine, which also writes down what passes.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";
import type { OTelStorageAdapter } from "../src/adapter.ts";
import type { ExportRequests, Signal } from "../src/record.ts";
import { handler } from "../src/server.ts";
import { querySql } from "../src/sql_query.ts";
import { oracleDecode } from "./oracle.ts";
import { oracleParse } from "./oracle_json.ts";
import { openStore } from "./open_store.ts";
import type { TestDriver } from "./postgres.ts";

/** A request as it came, and what was answered. */
export interface Exchange {
  readonly signal: Signal;
  readonly contentType: string;
  /** Empty when there was none. */
  readonly contentEncoding: string;
  readonly body: Uint8Array;
  readonly status: number;
  readonly answer: string;
}

/** A server that runs. Disposing ends it and drops its store. */
export interface RecordingServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  readonly adapter: OTelStorageAdapter;
  /** In the order of the answers. */
  readonly exchanges: readonly Exchange[];
  /** Asks the store in SQL; rows as JSON has them. */
  select(sql: string): Promise<unknown[]>;
}

/** Starts a server. */
export async function startServer(driver: TestDriver): Promise<RecordingServer> {
  const store = await openStore(driver);
  const { adapter } = store;
  const answer = handler({ store: adapter });
  const exchanges: Exchange[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request, info) => {
      const [body, copy] = request.body!.tee();
      const copied = new Response(copy).bytes();
      const response = await answer(new Request(request, { body }), info);
      exchanges.push({
        signal: new URL(request.url).pathname.slice("/v1/".length) as Signal,
        contentType: request.headers.get("content-type") ?? "",
        contentEncoding: request.headers.get("content-encoding") ?? "",
        body: await copied,
        status: response.status,
        answer: await response.clone().text(),
      });
      return response;
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    adapter,
    exchanges,
    async select(sql) {
      const { lines } = await querySql(await adapter.database(), sql);
      return lines.map((line) => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** What the client said, as the oracle understands it. */
export function requestOf<S extends Signal>(
  signal: S,
  { contentType, contentEncoding, body }: Exchange,
): ExportRequests[S] {
  const plain = contentEncoding === "gzip" ? new Uint8Array(gunzipSync(body)) : body;
  return contentType === "application/json"
    ? oracleParse(signal, new TextDecoder("utf-8", { fatal: true }).decode(plain))
    : oracleDecode(signal, plain);
}
