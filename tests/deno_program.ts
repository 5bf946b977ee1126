/**
 * A program that Deno's own OpenTelemetry traces: a process of its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./fixtures/deno_app.ts", import.meta.url));

/** A program that takes longer hangs, and is ended. */
const TIMEOUT_MS = 120_000;

/** Where it sends to, and how. */
export interface ProgramOptions {
  /** The collector, without a slash at its end. */
  readonly endpoint: string;
  /** Its `service.name`. */
  readonly service: string;
  readonly protocol: "http/protobuf" | "http/json";
  /** Requests that it gets: `/asked/1`, `/asked/2`, … */
  readonly asks: number;
}

/** Runs the program, asks it, and stops it, which sends everything. */
export async function runTracedProgram(options: ProgramOptions): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-net", SCRIPT],
    env: {
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: options.service,
      OTEL_RESOURCE_ATTRIBUTES: "service.namespace=shop,deployment.environment.name=test",
      OTEL_EXPORTER_OTLP_ENDPOINT: options.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: options.protocol,
      // Several batches of each signal, instead of one every 5 s and of metrics every 60 s.
      OTEL_BSP_SCHEDULE_DELAY: "20",
      OTEL_BLRP_SCHEDULE_DELAY: "20",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  const stderr = new Response(child.stderr).text();
  let asked: Promise<void> | undefined;
  let stdout = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    stdout += text;
    const [url, ...more] = stdout.split("\n");
    if (asked === undefined && more.length > 0) {
      asked = ask(url!, options.asks).finally(() => child.kill("SIGTERM"));
      // What went wrong is thrown below, once the program has ended.
      asked.catch(() => {});
    }
  }
  const { code, signal } = await child.status;
  clearTimeout(timer);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, await stderr);
  assert.ok(asked, `The program did not say where it is: ${stdout}`);
  await asked;
}

async function ask(url: string, times: number): Promise<void> {
  for (let i = 1; i <= times; i++) {
    const response = await fetch(`${url}/asked/${i}`);
    assert.equal(await response.text(), "hello\n");
  }
}
