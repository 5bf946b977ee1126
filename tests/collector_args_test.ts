import assert from "node:assert/strict";
import { COMMAND_OPTIONS } from "../src/collector_command.ts";
import { HELP, readSettings, type Settings } from "../src/collector_args.ts";

/** 2026-01-31T12:00:00Z. */
const NOW_MS = 1_769_860_800_000;

function read(args: readonly string[], env: Readonly<Record<string, string>> = {}): Settings {
  const settings = readSettings(args, (name) => env[name], NOW_MS);
  assert.ok(typeof settings === "object");
  return settings;
}

function refused(
  args: readonly string[],
  message: string,
  env: Readonly<Record<string, string>> = {},
): void {
  assert.throws(() => read(args, env), { name: "UsageError", message });
}

const DEFAULTS = {
  command: "serve",
  json: false,
  host: "127.0.0.1",
  port: 4318,
  database: undefined,
  readerDatabase: undefined,
  dataDir: "./data",
  forwards: [],
  forwardOverflow: "refuse",
  forwardFrom: "head",
  forwardCompression: "none",
  journalMaxBytes: 1_073_741_824,
  attemptTimeoutMs: 30_000,
  corsOrigin: undefined,
  token: undefined,
  partition: undefined,
  retentionDays: 30,
  breakerCooldownMs: 60_000,
};

const ENV = {
  OTEL_STORAGE_HOST: "0.0.0.0",
  OTEL_STORAGE_PORT: "1",
  DATABASE_URL: "postgres://env/db",
  OTEL_STORAGE_READER_DATABASE_URL: "postgres://reader@env/db",
  OTEL_STORAGE_DATA_DIR: "/env",
  OTEL_STORAGE_FORWARD: "vendor=https://otlp.env.example/in?a=b, http://other.example:4318",
  OTEL_STORAGE_FORWARD_HEADERS: "vendor:Api-Key=a%2Cb%3D%20c, vendor:x-tenant = shop",
  OTEL_STORAGE_FORWARD_OVERFLOW: "skip",
  OTEL_STORAGE_FORWARD_FROM: "oldest",
  OTEL_STORAGE_FORWARD_COMPRESSION: "gzip",
  OTEL_STORAGE_JOURNAL_MAX_BYTES: "1048576",
  OTEL_STORAGE_ATTEMPT_TIMEOUT_MS: "600000",
  OTEL_STORAGE_CORS_ORIGIN: "https://env.example",
  OTEL_STORAGE_TOKEN: "env-token",
  OTEL_STORAGE_PARTITION: "week",
  OTEL_STORAGE_RETENTION_DAYS: "7",
  OTEL_STORAGE_BREAKER_COOLDOWN_MS: "8",
};

const FROM_ENV = {
  ...DEFAULTS,
  host: "0.0.0.0",
  port: 1,
  database: "postgres://env/db",
  readerDatabase: "postgres://reader@env/db",
  dataDir: "/env",
  forwards: [
    {
      name: "vendor",
      url: "https://otlp.env.example/in?a=b",
      headers: { "api-key": "a,b= c", "x-tenant": "shop" },
    },
    { name: "other.example_4318", url: "http://other.example:4318", headers: {} },
  ],
  forwardOverflow: "skip",
  forwardFrom: "oldest",
  forwardCompression: "gzip",
  journalMaxBytes: 1_048_576,
  attemptTimeoutMs: 600_000,
  corsOrigin: "https://env.example",
  token: "env-token",
  partition: "week",
  retentionDays: 7,
  breakerCooldownMs: 8,
};

Deno.test("without arguments the collector serves with the defaults", () => {
  assert.deepEqual(read([]), DEFAULTS);
  assert.deepEqual(read(["serve"]), DEFAULTS);
});

Deno.test("the environment wins over defaults, and empty variables are none", () => {
  assert.deepEqual(read([], ENV), FROM_ENV);
  const empty = Object.fromEntries(Object.keys(ENV).map((name) => [name, ""]));
  assert.deepEqual(read([], empty), DEFAULTS);
});

Deno.test("flags win over the environment, wherever they stand", () => {
  const flags = [
    ["--host", "::1"],
    ["--port=0"],
    ["--database", "postgresql://flag/db"],
    ["--data-dir=/flag"],
    ["--forward", "a=http://a.example?k=v", "--forward", "https://b.example/x=y"],
    ["--forward-header", "a:key=50%=", "--forward-header=b.example:authorization=Bearer t:u"],
    ["--forward-overflow", "refuse"],
    ["--forward-from", "head"],
    ["--forward-compression", "none"],
    ["--journal-max-bytes", "5000000000"],
    ["--attempt-timeout", "100"],
    ["--cors-origin", "*"],
    ["--token", "flag-token"],
    ["--partition", "hour"],
    ["--retention", "3650"],
    ["--breaker-cooldown", "3600000"],
    ["--json"],
  ].flat();
  const wanted = {
    command: "stats",
    json: true,
    host: "::1",
    port: 0,
    database: "postgresql://flag/db",
    readerDatabase: "postgres://reader@env/db",
    dataDir: "/flag",
    forwards: [
      { name: "a", url: "http://a.example?k=v", headers: { key: "50%=" } },
      {
        name: "b.example",
        url: "https://b.example/x=y",
        headers: { authorization: "Bearer t:u" },
      },
    ],
    forwardOverflow: "refuse",
    forwardFrom: "head",
    forwardCompression: "none",
    journalMaxBytes: 5_000_000_000,
    attemptTimeoutMs: 100,
    corsOrigin: "*",
    token: "flag-token",
    partition: "hour",
    retentionDays: 3650,
    breakerCooldownMs: 3_600_000,
  };
  assert.deepEqual(read(["stats", ...flags], ENV), wanted);
  assert.deepEqual(read([...flags, "stats"], ENV), wanted);
});

Deno.test("query takes one statement", () => {
  assert.deepEqual(read(["query", "sql", "select 1"]), {
    ...DEFAULTS,
    command: "query",
    sql: "select 1",
  });
  const message = "Cannot read the command line: query sql takes one statement in quotes";
  for (const rest of [["sql"], ["sql", " "], ["sql", "select", "1"]]) {
    refused(["query", ...rest], message);
  }
  refused(
    ["query", "sql", "select 1", "--limit", "1"],
    "Cannot read the command line: query sql takes no --limit",
  );
});

Deno.test("help and version are answered whatever else is said", () => {
  assert.equal(readSettings(["--help"], () => undefined), "help");
  assert.equal(readSettings(["-h", "nonsense"], () => "x"), "help");
  assert.equal(readSettings(["query", "-h"], () => undefined), "query help");
  assert.equal(readSettings(["--version"], () => undefined), "version");
});

Deno.test("the help names every flag and variable", () => {
  for (const name of [...Object.keys(ENV), "--json", "--help", "--version"]) {
    assert.ok(HELP.includes(name), name);
  }
  for (const name of Object.keys(COMMAND_OPTIONS)) assert.ok(HELP.includes(`--${name}`), name);
  const letters = ["list", "show", "replay", "drop"].map((action) => `dead-letters ${action}`);
  for (
    const command of ["serve", "migrate", "maintain", "stats", "query sql", "replay", ...letters]
  ) {
    assert.ok(HELP.includes(`collector ${command}`) || HELP.includes(`[${command}]`), command);
  }
});

Deno.test("an unknown option is refused by name", () => {
  for (const name of ["--forwards", "--journal", "--prot", "-p"]) {
    refused([name, "x"], `Cannot read the command line: unknown option '${name}'`);
  }
  refused(["--port"], "Cannot read the command line: option '--port <value>' argument missing");
});

Deno.test("an unknown command and a surplus argument are refused by name", () => {
  refused(
    ["sevre"],
    'Cannot read the command line: unknown command "sevre"; there are serve, migrate, maintain, ' +
      "stats, query, dead-letters and replay",
  );
  refused(["migrate", "now"], 'Cannot read the command line: migrate takes no argument, got "now"');
});

Deno.test("an invalid value is refused with its flag or variable", () => {
  const port = "must be a whole number from 0 to 65535";
  refused(["--port", "http"], `Cannot use --port "http": ${port}`);
  refused(["--port", "65536"], `Cannot use --port "65536": ${port}`);
  refused(["--port", "1.5"], `Cannot use --port "1.5": ${port}`);
  refused(["--port", ""], `Cannot use --port "": ${port}`);
  refused([], `Cannot use OTEL_STORAGE_PORT "-1": ${port}`, { OTEL_STORAGE_PORT: "-1" });
  refused(["--host="], 'Cannot use --host "": must not be empty');
  refused(
    ["--partition", "year"],
    'Cannot use --partition "year": must be hour, day, week or month',
  );
  refused(
    ["--retention", "0"],
    'Cannot use --retention "0": must be a whole number from 1 to 3650',
  );
  refused(
    ["--breaker-cooldown", "1e3"],
    'Cannot use --breaker-cooldown "1e3": must be a whole number from 1 to 3600000',
  );
  refused(
    ["--cors-origin", "example.org"],
    'Cannot use --cors-origin "example.org": must be an origin such as https://example.org, or *',
  );
});

Deno.test("secrets are not repeated in errors", () => {
  refused(
    ["--database", "mysql://root:s3cret@host/db"],
    "Cannot use --database: must be a postgres:// URL",
  );
  refused(
    [],
    "Cannot use OTEL_STORAGE_TOKEN: must be printable ASCII without spaces",
    { OTEL_STORAGE_TOKEN: "s3cret token" },
  );
});

Deno.test("serving beyond this machine needs a token, other commands do not", () => {
  for (const host of ["0.0.0.0", "::", "192.168.0.2", "example.org", "127.0.0.1.example.org"]) {
    refused(
      ["--host", host],
      `Cannot listen on ${host} without a token: set --token or OTEL_STORAGE_TOKEN, or listen on ` +
        "127.0.0.1",
    );
    assert.notEqual(read(["--host", host, "--token", "t"]), undefined);
    assert.notEqual(read(["stats", "--host", host]), undefined);
  }
  for (const host of ["localhost", "127.0.0.1", "127.8.8.8", "::1"]) {
    assert.notEqual(read(["--host", host]), undefined);
  }
});

Deno.test("a destination is named, or called by its host; only the first = parts a name", () => {
  const cases: [value: string, name: string, url: string][] = [
    ["http://h:4318/a=b?c=d", "h_4318", "http://h:4318/a=b?c=d"],
    ["v=http://h?c=d", "v", "http://h?c=d"],
    ["A.b_c-1=HTTPS://h", "A.b_c-1", "HTTPS://h"],
    ["https://[2001:db8::1]:4318", "2001_db8__1_4318", "https://[2001:db8::1]:4318"],
  ];
  for (const [value, name, url] of cases) {
    assert.deepEqual(read(["--forward", value]).forwards, [{ name, url, headers: {} }]);
  }
});

Deno.test("a destination that cannot be one is refused by its name, without what may be secret", () => {
  const name = (name: string) =>
    `Cannot use --forward "${name}": the name of a destination must be up to 64 of A-Z, a-z, 0-9, ` +
    '"_", "." and "-", and not "postgres"; say NAME=URL';
  refused(["--forward", "postgres=http://h"], name("postgres"));
  refused(["--forward", "http://postgres"], name("postgres"));
  refused(["--forward", "a b=http://h"], name("a b"));
  refused(["--forward", "=http://h"], name(""));
  refused(["--forward", `http://${"h".repeat(63)}.x`], name(`${"h".repeat(63)}.x`));
  refused(
    ["--forward", "user:s3cret"],
    "Cannot use --forward: must be NAME=URL or an http:// or https:// URL",
  );
  refused(
    ["--forward", "v=user:s3cret@h"],
    'Cannot use --forward "v": expected http: or https:, got user:',
  );
  refused(
    ["--forward", "v=http://user:s3cret@h"],
    'Cannot use --forward "v": it holds a user or password, send them in the header ' +
      "'authorization'",
  );
  refused(
    [],
    'Cannot use OTEL_STORAGE_FORWARD "h" twice: give each destination a NAME of its own',
    { OTEL_STORAGE_FORWARD: "http://h/a,http://h/b" },
  );
  refused(
    ["--forward", "v=http://localhost:4318"],
    "Cannot use --forward \"v\": 'http://localhost:4318' is where this process listens itself",
  );
  assert.equal(read(["stats", "--forward", "v=http://localhost:4318"]).forwards.length, 1);
});

Deno.test("a header of a destination is refused without its value", () => {
  const to = ["--forward", "v=http://h"];
  const shape = "Cannot use --forward-header: must be NAME:KEY=VALUE";
  for (const text of ["s3cret", "v:s3cret", ":k=s3cret", "k=v:s3cret", "v:=s3cret"]) {
    refused([...to, "--forward-header", text], shape);
  }
  refused(
    [...to, "--forward-header", "w:k=s3cret"],
    'Cannot use --forward-header "w": no such destination; there is v',
  );
  refused(
    [],
    'Cannot use OTEL_STORAGE_FORWARD_HEADERS "w": no such destination; there is none',
    { OTEL_STORAGE_FORWARD_HEADERS: "w:k=s3cret" },
  );
  refused(
    to,
    'Cannot use OTEL_STORAGE_FORWARD_HEADERS "v": a value is not percent-encoded',
    { OTEL_STORAGE_FORWARD_HEADERS: "v:k=s3cret%" },
  );
  refused(
    [...to, "--forward-header", "v:k=s3\ncret"],
    'Cannot use --forward "v": its header k: its name or value is no valid header',
  );
  refused(
    [...to, "--forward-header", "v:Content-Type=s3cret"],
    'Cannot use --forward "v": its header content-type: it says what the body is and is set by us',
  );
});

Deno.test("the settings of forwarding are refused beyond their bounds", () => {
  refused(
    ["--forward-overflow", "drop"],
    'Cannot use --forward-overflow "drop": must be refuse or skip',
  );
  refused(["--forward-from", "tail"], 'Cannot use --forward-from "tail": must be head or oldest');
  refused(
    ["--forward-compression", "br"],
    'Cannot use --forward-compression "br": must be none or gzip',
  );
  const bytes = "must be a whole number from 1048576 to 999999999999999";
  for (const text of ["1048575", "1GiB"]) {
    refused(["--journal-max-bytes", text], `Cannot use --journal-max-bytes "${text}": ${bytes}`);
  }
  const ms = "must be a whole number from 100 to 600000";
  for (const text of ["99", "600001"]) {
    refused(["--attempt-timeout", text], `Cannot use --attempt-timeout "${text}": ${ms}`);
  }
});
