/** What kind of failure the errors of real clients are, of servers that are away, hang up or hang. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import pg from "pg";
import { classify } from "@oneiric/otel-storage/retry";
import { classifies, PERMANENT, SHUTDOWN, TRANSIENT } from "./made_errors.ts";

/** A server on 127.0.0.1 that does to each connection what it is told to. */
async function serving(
  onConnection: (socket: Socket) => void,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, "close");
    },
  };
}

/** A port nobody listens on. */
async function deadPort(): Promise<number> {
  await using server = await serving(() => {});
  return server.port;
}

/** The error of a promise. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `expected an error, got ${result}` });
}

/** The error of node-postgres' client or pool for a server. */
async function pgError(port: number, options: { host?: string; wait?: number } = {}): Promise<
  { client: unknown; pool: unknown }
> {
  const config = { host: "127.0.0.1", port, user: "u", password: "p", database: "d" };
  const settings = {
    ...config,
    ...(options.host && { host: options.host }),
    ...(options.wait && { connectionTimeoutMillis: options.wait }),
  };
  const client = new pg.Client(settings);
  client.on("error", () => {});
  const pool = new pg.Pool(settings);
  try {
    return { client: await errorOf(client.connect()), pool: await errorOf(pool.query("select 1")) };
  } finally {
    await pool.end();
    await client.end();
  }
}

Deno.test("classify takes what node-postgres says of a server that is not there for transient", async () => {
  const port = await deadPort();
  for (const host of ["127.0.0.1", "localhost"]) {
    const { client, pool } = await pgError(port, { host });
    classifies(TRANSIENT, [client, pool]);
  }
});

Deno.test("classify takes what node-postgres says of a server that hangs up for transient", async () => {
  await using server = await serving((socket) => socket.destroy());
  const { client, pool } = await pgError(server.port);
  classifies(TRANSIENT, [client, pool]);
});

Deno.test("classify takes what node-postgres says of a server that never answers for transient", async () => {
  await using server = await serving(() => {});
  const { client, pool } = await pgError(server.port, { wait: 1 });
  classifies(TRANSIENT, [client, pool]);
});

Deno.test("classify takes what fetch says of a server that is not there, hangs up or stops midway for transient", async () => {
  const port = await deadPort();
  assert.deepEqual(classify(await errorOf(fetch(`http://127.0.0.1:${port}/`))), TRANSIENT);

  await using gone = await serving((socket) => socket.destroy());
  assert.deepEqual(classify(await errorOf(fetch(`http://127.0.0.1:${gone.port}/`))), TRANSIENT);

  await using midway = await serving((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
  });
  const response = await fetch(`http://127.0.0.1:${midway.port}/`);
  assert.deepEqual(classify(await errorOf(response.text())), TRANSIENT);
});

Deno.test("classify takes a fetch that we abort for a shutdown and one that runs out of time for transient", async () => {
  await using silent = await serving(() => {});
  const url = `http://127.0.0.1:${silent.port}/`;
  const controller = new AbortController();
  const aborted = errorOf(fetch(url, { signal: controller.signal }));
  controller.abort();
  assert.deepEqual(classify(await aborted), SHUTDOWN);
  assert.deepEqual(
    classify(await errorOf(fetch(url, { signal: AbortSignal.timeout(1) }))),
    TRANSIENT,
  );
});

Deno.test("classify takes what fetch says of a wrong request for permanent", async () => {
  assert.deepEqual(classify(await errorOf(fetch("http://"))), PERMANENT);
  assert.deepEqual(
    classify(
      await errorOf(Promise.try(() => fetch("http://127.0.0.1/", { headers: { "a b": "" } }))),
    ),
    PERMANENT,
  );
});
