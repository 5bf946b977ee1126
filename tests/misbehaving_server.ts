/**
 * An OTLP/HTTP destination that behaves as it is told, badly for the most part.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as timer } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { encodeResponse } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";

/** A request as it came. */
export interface ReceivedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly signal: Signal;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Decompressed. */
  readonly body: Uint8Array;
}

/** What the server does with a request that it has read. */
export type Behaviour =
  /** Answers, as OTLP does if only a status of 200 is given. */
  | {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  }
  /** Takes it, but for some records. */
  | { readonly rejected: number; readonly message: string }
  /** Never answers. */
  | "hangs"
  /** Begins an answer of 200 and never ends it. */
  | "hangs in its answer"
  /** Closes the connection without an answer. */
  | "closes"
  /** Begins an answer of 200 and closes the connection. */
  | "closes in its answer"
  /** Answers with something that is not HTTP. */
  | "is no HTTP"
  /** Answers 200 with a body without end. */
  | "answers without end"
  /** Answers as it should, byte by byte. */
  | "is slow";

/** A server that runs. Disposing ends it and all connections. */
export interface MisbehavingServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  /** All requests, in the order of their arrival. */
  readonly requests: readonly ReceivedRequest[];
  /** Says what happens to a request; by default it is answered as it should be. */
  behave: (request: ReceivedRequest) => Behaviour;
}

/** Starts a server on a port of this machine. */
export async function misbehavingServer(
  behave: (request: ReceivedRequest) => Behaviour = () => ({ status: 200 }),
): Promise<MisbehavingServer> {
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(async (incoming, response) => {
    const request = await read(incoming).catch(() => undefined);
    // Who sent it gave it up meanwhile.
    if (request === undefined) return;
    requests.push(request);
    await respond(running.behave(request), request, response).catch(() => {});
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const running: MisbehavingServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    behave,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return running;
}

async function read(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const sent = Buffer.concat(chunks);
  const { method = "", url = "", headers } = incoming;
  const body = headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
  const signal = new URL(url, "http://localhost").pathname.split("/").at(-1) as Signal;
  return { method, path: url, signal, headers, body: new Uint8Array(body) };
}

async function respond(
  behaviour: Behaviour,
  { signal }: ReceivedRequest,
  response: ServerResponse,
): Promise<void> {
  const otlp = { "content-type": "application/x-protobuf" };
  const ok = encodeResponse(signal, { rejected: 0, message: "is fine" }, "protobuf");
  const begin = () => {
    response.writeHead(200, { ...otlp, "content-length": ok.length + 1000 });
    return new Promise<void>((resolve) => response.write(ok, () => resolve()));
  };
  if (typeof behaviour === "object") {
    if ("rejected" in behaviour) {
      response.writeHead(200, otlp).end(encodeResponse(signal, behaviour, "protobuf"));
    } else {
      const { status, headers = {}, body } = behaviour;
      response.writeHead(status, { ...(body === undefined && otlp), ...headers }).end(body);
    }
    return;
  }
  switch (behaviour) {
    case "hangs":
      return;
    case "hangs in its answer":
      return await begin();
    case "closes":
      response.socket!.destroy();
      return;
    case "closes in its answer":
      await begin();
      response.socket!.destroy();
      return;
    case "is no HTTP":
      response.socket!.end("220 mail.example.org ESMTP\r\n");
      return;
    case "answers without end":
      response.writeHead(200, { "content-type": "text/plain" });
      while (response.writable && !response.socket?.destroyed) {
        response.write("more ".repeat(10_000));
        await timer(1);
      }
      return;
    case "is slow":
      response.writeHead(200, otlp);
      for (const byte of encodeResponse(signal, { rejected: 0, message: "" }, "protobuf")) {
        response.write(Uint8Array.of(byte));
        await timer(1);
      }
      response.end();
  }
}
