/**
 * The collector as users run it: a process of its own, with the permissions it documents.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(
  new URL("../src/collector.ts", import.meta.url),
);

/** How to run it. */
export interface RunOptions {
  /** Commands and flags. */
  readonly args?: readonly string[];
  /** Its environment, besides what Deno needs. */
  readonly env?: Readonly<Record<string, string>>;
  /** The one folder it may write to, which is also its data folder. */
  readonly dataDir?: string;
  /** Its permissions. @default the least that it needs */
  readonly permissions?: readonly string[];
  /** A command that runs the command after it, and how. @default none */
  readonly through?: readonly string[];
}

/** How a collector ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A collector from its first moment on. Disposing kills it. */
export interface StartingCollector extends AsyncDisposable {
  /** Its URL, once it takes requests; rejects when it ends before. */
  readonly ready: Promise<string>;
  readonly pid: number;
  /** Resolves when its log has a line with this text. */
  logged(text: string): Promise<void>;
  /** Resolves when its output has this text. */
  printed(text: string): Promise<void>;
  /** Sends a signal and does not wait for what it does. */
  signal(name: Deno.Signal): void;
  /** Resolves when it has ended. */
  readonly ended: Promise<Ended>;
}

/** A collector that takes requests. Disposing kills it. */
export interface RunningCollector extends StartingCollector {
  /** Without a slash at its end. */
  readonly url: string;
}

/** Runs the collector to its end. */
export async function runCollector(options: RunOptions): Promise<Ended> {
  return await collect(spawn(options));
}

/** Starts the collector on a free port, and waits until it takes requests. */
export async function startCollector(options: RunOptions): Promise<RunningCollector> {
  const collector = launchCollector(options);
  return { ...collector, url: await collector.ready };
}

/** Starts the collector on a free port. */
export function launchCollector(options: RunOptions): StartingCollector {
  const child = spawn({ ...options, args: ["--port", "0", ...options.args ?? []] });
  const ready = Promise.withResolvers<string>();
  let log = "";
  let output = "";
  const ended = collect(child, (text) => {
    output = text;
    const [, url] = /listening on (http:\S+)\n/.exec(text) ?? [];
    if (url !== undefined) ready.resolve(url);
  }, (text) => log = text);
  ended.then(({ code, stderr }) => {
    ready.reject(new Error(`The collector ended with ${code} before it was ready: ${stderr}`));
  });
  // Whoever does not wait for it may kill it before.
  ready.promise.catch(() => {});
  return {
    ready: ready.promise,
    pid: child.pid,
    async logged(text) {
      while (!log.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async printed(text) {
      while (!output.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    signal: (name) => child.kill(name),
    ended,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await ended;
    },
  };
}

/** Ends a collector as an operator ends it, and returns its log. */
export async function stop(collector: RunningCollector): Promise<string> {
  collector.signal("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  return stderr;
}

function spawn(options: RunOptions): Deno.ChildProcess {
  const { args = [], env = {}, dataDir, permissions, through = [] } = options;
  const inherited = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]
    .map((name) => [name, Deno.env.get(name)] as const)
    .filter((entry): entry is [string, string] => entry[1] !== undefined);
  const [command, ...before] = [...through, Deno.execPath()];
  return new Deno.Command(command!, {
    args: [
      ...before,
      "run",
      "--quiet",
      "--no-prompt",
      "--v8-flags=--max-semi-space-size=8",
      ...permissions ?? leastPermissions(dataDir),
      SCRIPT,
      ...args,
      ...dataDir === undefined ? [] : ["--data-dir", dataDir],
    ],
    clearEnv: true,
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function leastPermissions(dataDir: string | undefined): string[] {
  const needed = ["--allow-net", "--allow-env=DATABASE_URL,OTEL_*,PG*,HOME,USER"];
  if (dataDir === undefined) return needed;
  return [...needed, "--allow-read", `--allow-write=${dataDir}`, "--allow-sys=statfs"];
}

async function collect(
  child: Deno.ChildProcess,
  onStdout?: (text: string) => void,
  onStderr?: (text: string) => void,
): Promise<Ended> {
  const [stdout, stderr, { code }] = await Promise.all([
    textOf(child.stdout, onStdout),
    textOf(child.stderr, onStderr),
    child.status,
  ]);
  return { code, stdout, stderr };
}

async function textOf(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => void = () => {},
): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) onText(text += piece);
  return text;
}
