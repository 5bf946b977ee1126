import assert from "node:assert/strict";
import { type Command, readSettings } from "../src/collector_args.ts";

/** 2026-01-31T12:00:00Z. */
const NOW_MS = 1_769_860_800_000;
const SETTINGS = Object.keys(readSettings([], () => undefined)).filter((name) =>
  name !== "command"
);

/** The command of a command line, without the settings of the collector. */
function command(...args: string[]): Command {
  const settings = readSettings(args, () => undefined, NOW_MS);
  assert.ok(typeof settings === "object");
  const own = Object.entries(settings).filter(([name]) => !SETTINGS.includes(name));
  return Object.fromEntries(own) as unknown as Command;
}

function refused(args: readonly string[], message: string): void {
  assert.throws(() => command(...args), { name: "UsageError", message });
}

Deno.test("dead letters are listed, shown, replayed and dropped, by name or by choice", () => {
  const letters = (...words: string[]) => {
    const { command: name, ...asked } = command("dead-letters", ...words);
    assert.equal(name, "dead-letters");
    return asked;
  };
  const chosen = ["--destination", "v", "--signal", "logs", "--reason", "400", "--limit", "7"];
  const choice = { destination: "v", signal: "logs", reason: "400", limit: 7 };
  assert.deepEqual(letters("list"), { action: "list", choice: {} });
  assert.deepEqual(letters("list", ...chosen), { action: "list", choice });
  assert.deepEqual(letters("show", "v-1"), { action: "show", name: "v-1" });
  assert.deepEqual(letters("replay"), { action: "replay", names: [], choice: {} });
  assert.deepEqual(letters("replay", ...chosen), { action: "replay", names: [], choice });
  assert.deepEqual(letters("replay", "a", "b"), {
    action: "replay",
    names: ["a", "b"],
    choice: {},
  });
  assert.deepEqual(letters("drop", "a"), { action: "drop", names: ["a"], choice: {} });
  assert.deepEqual(letters("drop", "--all"), { action: "drop", names: [], choice: {} });
  assert.deepEqual(letters("drop", "--reason", "400"), {
    action: "drop",
    names: [],
    choice: { reason: "400" },
  });
});

Deno.test("a command for dead letters that could be meant otherwise is refused", () => {
  const line = (reason: string) => `Cannot read the command line: ${reason}`;
  const cases: [words: string[], reason: string][] = [
    [[], "dead-letters takes list, show NAME, replay [NAME…] or drop NAME…"],
    [["lst"], "dead-letters takes list, show NAME, replay [NAME…] or drop NAME…"],
    [["list", "a"], 'dead-letters list takes no argument, got "a"'],
    [["show"], "dead-letters show takes the name of one letter"],
    [["show", "a", "b"], "dead-letters show takes the name of one letter"],
    [["show", "a", "--reason", "x"], "dead-letters show takes no --reason"],
    [["drop"], "dead-letters drop takes names, --destination, --signal, --reason or --all"],
    [
      ["drop", "--limit", "5"],
      "dead-letters drop takes names, --destination, --signal, --reason or --all",
    ],
    [["drop", "a", "--all"], "dead-letters drop takes names or --all, not both"],
    [["replay", "a", "--signal", "logs"], "dead-letters replay takes names or --signal, not both"],
    [["replay", "--all"], "--all belongs to dead-letters drop"],
    [["list", "--to", "http://h"], "--to belongs to replay, not to dead-letters"],
  ];
  for (const [words, reason] of cases) refused(["dead-letters", ...words], line(reason));
  refused(
    ["stats", "--signal", "logs"],
    line("--signal belongs to dead-letters and replay, not to stats"),
  );
  refused(
    ["dead-letters", "list", "--limit", "0"],
    'Cannot use --limit "0": must be a whole number from 1 to 999999999',
  );
  refused(
    ["dead-letters", "list", "--signal", "spans"],
    'Cannot use --signal "spans": must be traces, logs or metrics',
  );
});

Deno.test("replay takes where to, which signals, which time, which records, and headers", () => {
  assert.deepEqual(command("replay", "--to", "https://h"), {
    command: "replay",
    to: "https://h",
    headers: {},
    since: undefined,
    until: undefined,
    signals: ["traces", "logs", "metrics"],
    filter: "",
  });
  const flags = [
    ["--to", "https://h?k=v", "--header", "Api-Key=a=b"],
    ["--since", "2h", "--until", "2026-01-31T11:59:59.000000001Z"],
    ["--signal", "metrics", "--filter", "service = shop"],
  ].flat();
  assert.deepEqual(command("replay", ...flags), {
    command: "replay",
    to: "https://h?k=v",
    headers: { "api-key": "a=b" },
    since: BigInt(NOW_MS - 7_200_000) * 1_000_000n,
    until: BigInt(NOW_MS - 1000) * 1_000_000n + 1n,
    signals: ["metrics"],
    filter: "service = shop",
  });
});

Deno.test("a replay that cannot be is refused, a filter with the place where it is wrong", () => {
  const replay = (...flags: string[]) => ["replay", "--to", "http://h", ...flags];
  refused(
    ["replay"],
    "Cannot read the command line: replay takes --to URL, where to send what is stored",
  );
  refused(
    ["replay", "--to", "s3cret"],
    "Cannot use --to: it is no URL, such as https://otlp.example.org",
  );
  refused(["replay", "--to", "ftp://h"], 'Cannot use --to "h": expected http: or https:, got ftp:');
  refused(replay("--header", "s3cret"), "Cannot use --header: must be KEY=VALUE");
  refused(
    replay("--since", "yesterday"),
    'Cannot use --since "yesterday": must be a time such as 2026-01-31T12:00:00Z, nanoseconds or ' +
      "milliseconds since 1970, or how long ago, such as 90m, 2h or 7d",
  );
  refused(
    replay("--since", "1h", "--until", "2h"),
    'Cannot use --since "1h" with --until "2h": there is no time between',
  );
  refused(
    replay("--filter", "service = shop and ="),
    "Cannot use --filter at character 20: expected a field, not =\n" +
      "  service = shop and =\n" +
      "                     ^",
  );
});
