/**
 * One connection that posts bodies which are ready to be sent: what `fetch` does with them costs the
 * sender as much as storing them costs the receiver.
 */

/** An answer. */
export interface Answer {
  readonly status: number;
  /** How long to wait before sending again, in milliseconds, where the answer says it. */
  readonly retryAfterMs: number | undefined;
  readonly body: string;
}

/** An answer is at most this long. */
const ANSWER_BYTES = 64 << 10;

/** A connection to a server of HTTP/1.1 that keeps it open. Disposing closes it. */
export class HttpConnection implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #host: string;
  readonly #received = new Uint8Array(ANSWER_BYTES);
  #message = new Uint8Array(1 << 16);

  private constructor(connection: Deno.Conn, host: string) {
    this.#connection = connection;
    this.#host = host;
  }

  /** Connects to the server of a URL. */
  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    connection.setNoDelay(true);
    return new HttpConnection(connection, host);
  }

  /**
   * Posts a body and waits for the answer.
   *
   * @param path Where to.
   * @param headers What it is, besides its length.
   * @param length Its length in bytes.
   * @param write Writes it to a buffer from an offset on.
   * @throws {Error} The connection ended, or the answer is none that we can read.
   */
  async post(
    path: string,
    headers: Readonly<Record<string, string>>,
    length: number,
    write: (target: Uint8Array, offset: number) => void,
  ): Promise<Answer> {
    const lines = Object.entries({ host: this.#host, ...headers, "content-length": length })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    const head = ENCODER.encode(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    const size = head.length + length;
    if (this.#message.length < size) this.#message = new Uint8Array(size);
    this.#message.set(head);
    write(this.#message, head.length);
    for (let sent = 0; sent < size;) {
      sent += await this.#connection.write(this.#message.subarray(sent, size));
    }
    return await this.#answer();
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #answer(): Promise<Answer> {
    let text = "";
    for (let at = 0;;) {
      const count = await this.#connection.read(this.#received.subarray(at));
      if (!count) throw new Error(`Cannot read the answer: it ends after ${at} bytes`);
      at += count;
      text = DECODER.decode(this.#received.subarray(0, at));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const head = text.slice(0, end).toLowerCase();
      const length = /^content-length: (\d+)/m.exec(head)?.[1];
      if (length === undefined) throw new Error(`Cannot read an answer without a length: ${head}`);
      // Latin-1 has a character a byte.
      if (text.length < end + 4 + Number(length)) continue;
      const seconds = /^retry-after: (\d+)/m.exec(head)?.[1];
      return {
        status: Number(head.slice("http/1.1 ".length, "http/1.1 200".length)),
        retryAfterMs: seconds === undefined ? undefined : Number(seconds) * 1000,
        body: text.slice(end + 4),
      };
    }
  }
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("latin1");
