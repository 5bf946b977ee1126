/**
 * `deno task test`: finds or starts a Postgres server, runs `deno test` with it as DATABASE_URL, and
 * ends with the line that counts. Arguments go on to `deno test`.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { postgresServer } from "./postgres_server.ts";

/** What `deno test` says at its end, e.g. `ok | 12 passed (3 steps) | 0 failed | 1 ignored (4s)`. */
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/gm;

/** Passes `from` on to our own output and returns its end. */
async function tee(from: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let end = "";
  for await (const bytes of from) {
    await Deno.stdout.write(bytes);
    end = (end + decoder.decode(bytes, { stream: true })).slice(-100_000);
  }
  return end;
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
  const test = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--doc", ...Deno.args],
    env: {
      ...(server && { DATABASE_URL: server.url }),
      ...(!Deno.noColor && Deno.stdout.isTerminal() && { FORCE_COLOR: "1" }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  // The terminal sends ^C to both; the server goes when the tests have ended.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => test.kill("SIGTERM"));

  const output = stripVTControlCharacters(await tee(test.stdout));
  const { code } = await test.status;
  const summary = [...output.matchAll(SUMMARY)].at(-1);
  if (summary === undefined) {
    console.log(`No tests ran: deno test ended with code ${code}`);
    return code || 1;
  }
  const [, passed, failed, ignored = "0"] = summary;
  console.log(`${passed} passed, ${failed} failed${ignored === "0" ? "" : `, ${ignored} skipped`}`);
  return code;
}

Deno.exit(await main());
