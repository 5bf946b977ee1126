/**
 * A TCP proxy that can fail as networks do.
 *
 * @module
 */

import { connect, createServer, type Socket } from "node:net";

/** A proxy to one server. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Asked about what clients send; what it returns happens to the connection. */
  onSent: (bytes: Uint8Array) => "pass" | "cut before" | "cut after";
  /** Connections are accepted, and nobody answers them before this resolves. */
  opened: Promise<void>;
  /** How many connections nobody answers. */
  readonly waiting: number;
  /** Cuts all connections there are. */
  cut(): void;
}

/** Starts a proxy to `port` of this machine. */
export async function tcpProxy(port: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const waiting = new Set<Socket>();
  const server = createServer(async (client) => {
    waiting.add(client);
    sockets.add(client);
    client.on("error", () => client.destroy());
    client.on("close", () => {
      waiting.delete(client);
      sockets.delete(client);
    });
    await proxy.opened;
    if (!waiting.delete(client)) return;
    const upstream = connect(port, "127.0.0.1");
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on("data", (bytes) => {
      const verdict = proxy.onSent(bytes as Uint8Array);
      if (verdict === "cut before") return cut();
      if (verdict === "pass") return upstream.write(bytes);
      // Cut towards the client at once, towards the server when it has got everything.
      client.destroy();
      return upstream.end(bytes);
    });
    upstream.on("data", (bytes) => client.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: TcpProxy = {
    port: (server.address() as { port: number }).port,
    onSent: () => "pass",
    opened: Promise.resolve(),
    get waiting() {
      return waiting.size;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    [Symbol.asyncDispose]: async () => {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
