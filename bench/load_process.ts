/**
 * The near side of {@linkcode ./load.ts}.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LoadCommand, LoadReport, LoadRun } from "./load.ts";

/** A sender. Disposing ends it. */
export class LoadProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;

  constructor() {
    const script = fileURLToPath(new URL("./load.ts", import.meta.url));
    this.#child = spawn(
      Deno.execPath(),
      ["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1", script],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.pid = this.#child.pid!;
    this.#ended = new Promise((resolve) => this.#child.on("exit", () => resolve()));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Encodes what can be before the clock runs; each run wants it once. */
  async prepare(run: LoadRun): Promise<void> {
    await this.#ask({ kind: "prepare", run });
  }

  /** Sends what was prepared, until the last request is acknowledged. */
  async send(run: LoadRun): Promise<LoadReport> {
    return await this.#ask({ kind: "send", run }) as LoadReport;
  }

  /** Ends it at once; what runs rejects. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#ended;
  }

  async #ask(command: LoadCommand): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("Cannot measure: the sender has ended, see above");
    return JSON.parse(value);
  }
}
