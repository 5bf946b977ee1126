/**
 * `deno task test`: finds or starts a Postgres server, runs `deno test` with it as DATABASE_URL, and
 * ends with the line that counts. Arguments go on to `deno test`; without any the files are shared out
 * to several of them at once.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { postgresServer } from "./postgres_server.ts";

/** What `deno test` says at its end, e.g. `ok | 12 passed (3 steps) | 0 failed | 1 ignored (4s)`. */
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/gm;

/** Files of one `deno test` when all are run: the more, the less it takes to start; the fewer, the evener. */
const SHARE = 8;
/** How many run at once at most: each may have an embedded database or two. */
const MAX_AT_ONCE = 4;

/** How one `deno test` ended. */
interface Ending {
  readonly code: number;
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
  /** All that it printed, where it was not shown meanwhile. */
  readonly output: string;
}

/** The `deno test` processes that run. */
const running = new Set<Deno.ChildProcess>();

/** Runs `deno test`. */
async function run(
  args: readonly string[],
  url: string | undefined,
  show: boolean,
): Promise<Ending> {
  const test = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", ...args],
    env: {
      ...(url && { DATABASE_URL: url }),
      ...(!Deno.noColor && Deno.stdout.isTerminal() && { FORCE_COLOR: "1" }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: show ? "inherit" : "piped",
  }).spawn();
  running.add(test);
  const [out, err, { code }] = await Promise.all([
    kept(test.stdout, show),
    show ? "" : kept(test.stderr, false),
    test.status,
  ]);
  running.delete(test);
  const summary = [...stripVTControlCharacters(out).matchAll(SUMMARY)].at(-1);
  const [passed = 0, failed = 0, ignored = 0] = summary?.slice(1).map((n) => Number(n ?? 0)) ?? [];
  const output = err + out;
  if (summary !== undefined) return { code, passed, failed, ignored, output };
  const problem = `No tests ran: deno test ${args.join(" ")} ended with code ${code}\n`;
  if (show) console.error(problem);
  // How many would have failed nobody knows.
  return { code: code || 1, passed, failed: 1, ignored, output: output + problem };
}

/** All of a stream as text; shown meanwhile if asked. */
async function kept(from: ReadableStream<Uint8Array>, show: boolean): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  for await (const bytes of from) {
    if (show) await Deno.stdout.write(bytes);
    all += decoder.decode(bytes, { stream: true });
  }
  return all;
}

/** The arguments of each `deno test` that together run everything: examples in docs first. This file looks like a test. */
function shares(): string[][] {
  const files = [...Deno.readDirSync(new URL("../tests/", import.meta.url))]
    .map(({ name }) => name).filter((name) => name.endsWith("_test.ts")).sort()
    .map((name) => `tests/${name}`);
  const count = Math.ceil(files.length / SHARE);
  // Every so manieth: what stands together in the alphabet takes equally long.
  const groups = Array.from({ length: count }, (_, n) => files.filter((_, at) => at % count === n));
  return [["--doc", "--ignore=tests,tools"], ...groups.map((group) => ["--no-check", ...group])];
}

/** Runs all, several at once. */
async function runAll(url: string | undefined): Promise<Ending[]> {
  const waiting = shares();
  const endings: Ending[] = [];
  const worker = async () => {
    for (let args; (args = waiting.shift()) !== undefined;) {
      const ending = await run(args, url, false);
      await Deno.stdout.write(new TextEncoder().encode(ending.output));
      endings.push(ending);
    }
  };
  const { hardwareConcurrency } = navigator;
  await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, hardwareConcurrency) }, worker));
  return endings;
}

async function main(): Promise<number> {
  await using server = await postgresServer();
  if (server) {
    console.log(`Postgres: ${server.name}`);
  } else {
    console.log("Postgres: none, only PGlite is tested (no DATABASE_URL, no compose, no binaries)");
    if (Deno.env.get("CI")) {
      console.error("In CI that is a failure");
      return 1;
    }
  }
  // The terminal sends ^C to all; the server goes when the tests have ended.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => running.forEach((test) => test.kill("SIGTERM")));

  const endings = Deno.args.length > 0
    ? [await run(["--doc", ...Deno.args], server?.url, true)]
    : await runAll(server?.url);
  const sum = (count: (ending: Ending) => number) => endings.reduce((n, one) => n + count(one), 0);
  const failed = endings.filter(({ code }) => code !== 0);
  // What went wrong is said once more where one looks.
  if (endings.length > 1) { for (const { output } of failed) console.log(output.slice(-5_000)); }
  const ignored = sum((ending) => ending.ignored);
  const skipped = ignored === 0 ? "" : `, ${ignored} skipped`;
  console.log(
    `${sum((ending) => ending.passed)} passed, ${sum((ending) => ending.failed)} failed${skipped}`,
  );
  return failed.length === 0 ? 0 : failed[0]!.code;
}

Deno.exit(await main());
