/** The adapter's options, and what is wrong with bad ones. */

import { OTelStorageAdapter, type OTelStorageOptions } from "@oneiric/otel-storage";
import assert from "node:assert/strict";
import { adapterSettings } from "../src/adapter_options.ts";
import { PGLITE } from "./adapter_on.ts";

const FORWARD = { name: "vendor", url: "https://otlp.example.org" };

Deno.test("adapter has the defaults that are documented", () => {
  const { onEvent, ...settings } = adapterSettings(PGLITE);
  assert.equal(onEvent({ level: "info", message: "", fields: {} }), undefined);
  assert.deepEqual(settings, {
    pgliteDir: "memory://",
    journalMaxBytes: 1_073_741_824,
    forwards: [],
    retainJournal: false,
    retentionDays: 30,
    maxRetries: 3,
    attemptTimeoutMs: 30_000,
    circuitBreakerThreshold: 5,
    circuitBreakerCooldownMs: 60_000,
    batchSize: 100,
    batchIntervalMs: 5_000,
    maxBufferBytes: 67_108_864,
    maxBufferAgeMs: 30_000,
    maxRoomWaitMs: 5_000,
    closeGraceMs: 8_000,
  });
});

Deno.test("adapter refuses bad options with a RangeError that names option and value", () => {
  const bad: Record<string, readonly unknown[]> = {
    pgliteDir: ["", 5],
    partition: ["year", 1],
    retentionDays: [0, -1, 1.5, 3651, NaN, "30", 30n, null],
    maxRetries: [0, 11, 2.5, Infinity],
    attemptTimeoutMs: [99, 600_001],
    circuitBreakerThreshold: [0, 101],
    circuitBreakerCooldownMs: [0, 3_600_001],
    batchSize: [9, 1_001, 10.5, "100"],
    batchIntervalMs: [999, 60_001],
    maxBufferBytes: [0, (1 << 20) - 1],
    dataDir: ["", 5],
    journalMaxBytes: [0, (1 << 20) - 1],
    maxBufferAgeMs: [0, 2 ** 31],
    maxRoomWaitMs: [-1, 2 ** 31],
    closeGraceMs: [-1, 600_001],
  };
  const shown = (value: unknown) =>
    typeof value === "string" ? `'${value}'` : typeof value === "bigint" ? `${value}n` : `${value}`;
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const options = { ...(name === "pgliteDir" ? {} : PGLITE), [name]: value };
      assert.throws(() => new OTelStorageAdapter(options as OTelStorageOptions), (error) => {
        assert(error instanceof RangeError);
        const start = `Cannot create OTelStorageAdapter with '${name}': ${shown(value)} (`;
        assert.equal(error.message.slice(0, start.length), start);
        return true;
      });
    }
  }
});

Deno.test("adapter is not disturbed by an observer that throws: the console is told", () => {
  const thrown = new Error("observer");
  const { onEvent } = adapterSettings({
    ...PGLITE,
    onEvent: () => {
      throw thrown;
    },
  });
  const { error } = console;
  const told: unknown[] = [];
  console.error = (...words: unknown[]) => told.push(...words);
  try {
    onEvent({ level: "info", message: "", fields: {} });
  } finally {
    console.error = error;
  }
  assert.deepEqual(told, ["OTelStorageAdapter: onEvent threw", thrown]);
});

Deno.test("adapter refuses options that it does not know, and what are no options", () => {
  const cases: [unknown, RegExp][] = [
    [{ ...PGLITE, retention: 5 }, /^Cannot create OTelStorageAdapter \(.*"retention"\)$/],
    [undefined, /^Cannot create OTelStorageAdapter \(/],
    [null, /^Cannot create OTelStorageAdapter \(/],
    ["postgres://user:secret@host/db", /^Cannot create OTelStorageAdapter \([^@]*$/],
    [{ ...PGLITE, forwards: [FORWARD] }, /\(forwards need a dataDir/],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, name: "a b" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.name': 'a b' \(/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, name: "postgres" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.name': 'postgres' \(/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [FORWARD, { ...FORWARD, url: "http://there" }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.1\.name' \(there is one of this name/,
    ],
    [
      { ...PGLITE, dataDir: "d", forwards: [{ ...FORWARD, headers: { key: 5 } }] },
      /^Cannot create OTelStorageAdapter with 'forwards\.0\.headers\.key' \([^5]*$/,
    ],
  ];
  for (const [options, message] of cases) {
    const make = () => new OTelStorageAdapter(options as OTelStorageOptions);
    assert.throws(make, { name: "RangeError", message });
  }
});

Deno.test("adapter wants one database", () => {
  const url = "postgres://user:secret@host/db";
  for (
    const [options, count] of [
      [{}, "none"],
      [{ connectionString: url, ...PGLITE }, "2"],
      [{ connectionString: url, client: {}, ...PGLITE }, "3"],
    ] as const
  ) {
    assert.throws(() => new OTelStorageAdapter(options as OTelStorageOptions), {
      name: "RangeError",
      message: "Cannot create OTelStorageAdapter (give one of connectionString, pgliteDir and " +
        `client, not ${count})`,
    });
  }
});

Deno.test("adapter does not repeat a bad connection string, nor a client", () => {
  for (const connectionString of ["mysql://user:secret@host/db", "user:secret@host", 5]) {
    const options = { connectionString } as OTelStorageOptions;
    assert.throws(() => new OTelStorageAdapter(options), (error: Error) => {
      assert.match(error.message, /^Cannot create OTelStorageAdapter with 'connectionString' \(/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
  for (const client of [null, 5, "postgres://user:secret@host/db"]) {
    const options = { client } as unknown as OTelStorageOptions;
    assert.throws(() => new OTelStorageAdapter(options), {
      message: "Cannot create OTelStorageAdapter with 'client' (has to be a client)",
    });
  }
});

Deno.test("adapter warns of partitions that are too narrow for what is kept", () => {
  assert.equal(new OTelStorageAdapter(PGLITE).warning, "");
  const narrow = new OTelStorageAdapter({ ...PGLITE, partition: "hour", retentionDays: 30 });
  assert.notEqual(narrow.warning, "");
});
