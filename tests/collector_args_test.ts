import assert from "node:assert/strict";
import { HELP, readSettings } from "../src/collector_args.ts";

function read(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return readSettings(args, (name) => env[name]);
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
  sql: "",
  json: false,
  host: "127.0.0.1",
  port: 4318,
  database: undefined,
  dataDir: "./data",
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
  OTEL_STORAGE_DATA_DIR: "/env",
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
  dataDir: "/env",
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
    ["--cors-origin", "*"],
    ["--token", "flag-token"],
    ["--partition", "hour"],
    ["--retention", "3650"],
    ["--breaker-cooldown", "3600000"],
    ["--json"],
  ].flat();
  const wanted = {
    command: "stats",
    sql: "",
    json: true,
    host: "::1",
    port: 0,
    database: "postgresql://flag/db",
    dataDir: "/flag",
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
  const message =
    "Cannot read the command line: query takes the word sql and one statement in quotes";
  for (const rest of [[], ["sql"], ["sql", " "], ["select 1"], ["sql", "select", "1"]]) {
    refused(["query", ...rest], message);
  }
});

Deno.test("help and version are answered whatever else is said", () => {
  assert.equal(read(["--help"]), "help");
  assert.equal(read(["-h", "nonsense"], { OTEL_STORAGE_PORT: "x" }), "help");
  assert.equal(read(["--version"]), "version");
});

Deno.test("the help names every flag and variable", () => {
  for (const name of [...Object.keys(ENV), "--json", "--help", "--version"]) {
    assert.ok(HELP.includes(name), name);
  }
  for (const command of ["serve", "migrate", "maintain", "stats", "query sql"]) {
    assert.ok(HELP.includes(`collector ${command}`) || HELP.includes(`[${command}]`), command);
  }
});

Deno.test("an unknown option is refused by name", () => {
  for (const name of ["--forward", "--journal-max-bytes", "--forward-header", "--prot", "-p"]) {
    refused([name, "x"], `Cannot read the command line: unknown option '${name}'`);
  }
  refused(["--port"], "Cannot read the command line: option '--port <value>' argument missing");
});

Deno.test("an unknown command and a surplus argument are refused by name", () => {
  refused(
    ["sevre"],
    'Cannot read the command line: unknown command "sevre"; there are serve, migrate, maintain, ' +
      "stats and query",
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
