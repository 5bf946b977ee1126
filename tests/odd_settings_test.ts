/** Servers, databases and roles that set other than what we rely on. */

import assert from "node:assert/strict";
import { Pool } from "pg";
import postgres from "postgres";
import { OTelStorageAdapter, type OTelStorageOptions } from "@oneiric/otel-storage";
import { encodeRequest } from "../src/otlp.ts";
import type { ExportRequests } from "../src/record.ts";
import { connect } from "../src/postgres/connect.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { canonicalise } from "./canonical.ts";
import { exemplar, gauge, log, logs, metrics, point, span, traces } from "./one_record.ts";
import { drivers, testDatabase } from "./postgres.ts";

/** Each is somebody's. */
const SETTINGS = {
  bytea_output: "escape",
  extra_float_digits: "-5",
  datestyle: "SQL, DMY",
  intervalstyle: "sql_standard",
  timezone: "Asia/Kolkata",
  default_transaction_isolation: "serializable",
  search_path: "nowhere",
};

const BYTES = Uint8Array.from({ length: 256 }, (_, n) => n);
const SUM = 0.1 + 0.2;
const attributes = [
  { key: "bytes", value: { bytesValue: BYTES } },
  { key: "double", value: { doubleValue: SUM } },
  { key: "list", value: { arrayValue: { values: [{ doubleValue: SUM }] } } },
];
const REQUESTS: ExportRequests = {
  traces: traces([span({ attributes })]),
  logs: logs([log({ attributes, body: { bytesValue: BYTES } })]),
  metrics: metrics([
    gauge([point({ attributes, asDouble: SUM, exemplars: [exemplar({ asDouble: SUM })] })]),
  ]),
};

async function oddDatabase() {
  const test = await testDatabase("postgres");
  const name = new URL(test.url).pathname.slice(1);
  for (const [setting, value] of Object.entries(SETTINGS)) {
    await test.database.query(`alter database "${name}" set ${setting} = '${value}'`);
  }
  return test;
}

if (drivers.includes("postgres")) {
  const opened: Record<string, (url: string) => [OTelStorageOptions, () => Promise<void>]> = {
    "a URL": (url) => [{ connectionString: url }, () => Promise.resolve()],
    "a Pool of npm:pg": (url) => {
      const client = new Pool({ connectionString: url });
      return [{ client }, () => client.end()];
    },
    "npm:postgres": (url) => {
      const client = postgres(url, { onnotice: () => {} });
      return [{ client }, () => client.end()];
    },
  };
  for (const [name, open] of Object.entries(opened)) {
    Deno.test(`what comes back does not depend on a database's settings: ${name}`, async () => {
      await using test = await oddDatabase();
      await using stack = new AsyncDisposableStack();
      const [options, end] = open(test.url);
      stack.defer(end);
      const adapter = stack.use(new OTelStorageAdapter(options));
      await adapter.init();
      for (const signal of ["traces", "logs", "metrics"] as const) {
        await adapter.write(signal, encodeRequest(signal, REQUESTS[signal]));
      }
      await adapter.flush();
      for (const signal of ["traces", "logs", "metrics"] as const) {
        const read = canonicalise(signal, await adapter.exportStored(signal));
        assert.deepEqual(read, canonicalise(signal, REQUESTS[signal]));
      }
      assert.deepEqual((await adapter.maintain()).postponed, []);
    });
  }

  Deno.test("ten at once migrate a database whose transactions are serializable", async () => {
    await using test = await oddDatabase();
    await Promise.all(Array.from({ length: 10 }, async () => {
      await using database = await connect(test.url);
      await migrate(database);
    }));
  });
}
