import assert from "node:assert/strict";
import { parseStats, statsJson } from "../src/stats_json.ts";
import { bytesText, drawStats, durationText } from "../src/stats_table.ts";
import { NUMBERS } from "./adapter_numbers.ts";

Deno.test("numbers pass through JSON: positions as hex digits, what is unknown as null", () => {
  const json = statsJson(NUMBERS);
  assert.deepEqual(parseStats(JSON.stringify(json)), json);
  const { journal, destinations, deadLetters } = json;
  assert.equal(journal.oldest, "0000000000001000");
  assert.equal(journal.head, "0000000000abcdef");
  assert.equal(journal.gapBytes, 0);
  assert.deepEqual(deadLetters, NUMBERS.deadLetters);
  assert.deepEqual(destinations[0]!.delivered, NUMBERS.destinations[0]!.delivered);
  assert.equal(destinations[0]!.lastError, null);
  assert.equal(destinations[1]!.position, "0000000000002000");
  assert.deepEqual(destinations[1]!.lastError, {
    message: "it answered 503\u001b[31m",
    at: "2026-01-31T12:00:00.000Z",
  });
  const unknown = { ...NUMBERS, journal: { ...NUMBERS.journal, freeBytes: Infinity } };
  assert.equal(statsJson(unknown).journal.freeBytes, null);
});

Deno.test("every number of a destination, the journal and the letters is in the JSON", () => {
  const json = statsJson(NUMBERS);
  assert.deepEqual(Object.keys(json.journal).sort(), Object.keys(NUMBERS.journal).sort());
  assert.deepEqual(Object.keys(json).sort(), Object.keys(NUMBERS).sort());
  for (const [at, destination] of NUMBERS.destinations.entries()) {
    assert.deepEqual(
      Object.keys(json.destinations[at]!).sort(),
      Object.keys(destination).sort(),
    );
  }
});

Deno.test("the numbers of another version are refused with what to do", () => {
  for (const text of ["", "{}", '{"received":{}}']) {
    assert.throws(() => parseStats(text), {
      message: "Cannot read the numbers of the collector: it is of another version than this " +
        "command; restart it",
    });
  }
});

Deno.test("a terminal shows the ledger, who is behind, why, and until when it waits", () => {
  assert.equal(
    drawStats(statsJson(NUMBERS)),
    `\
signal  │ received │ rejected │ duplicates │ accepted
────────┼──────────┼──────────┼────────────┼─────────
traces  │      106 │        1 │          5 │      100
logs    │       20 │        0 │          0 │       20
metrics │        5 │        0 │          5 │        0

destination │ signal  │ accepted │ delivered │ pending │ dead │ skipped │ rejected there
────────────┼─────────┼──────────┼───────────┼─────────┼──────┼─────────┼───────────────
postgres    │ traces  │      100 │        99 │       0 │    1 │       0 │              0
postgres    │ logs    │       20 │        20 │       0 │    0 │       0 │              0
postgres    │ metrics │        0 │         0 │       0 │    0 │       0 │              0
vendor      │ traces  │      100 │        40 │      50 │    7 │       3 │              4
vendor      │ logs    │       20 │        10 │       8 │    0 │       2 │              0
vendor      │ metrics │        0 │         0 │       0 │    0 │       0 │              0

destination │ url                           │ state   │ breaker │ next attempt │ lag              │ lost
────────────┼───────────────────────────────┼─────────┼─────────┼──────────────┼──────────────────┼────────
postgres    │ db.example:5432/otel          │ idle    │ CLOSED  │              │ 0 bytes, 0s      │
vendor      │ https://otlp.example/"a\\b"\\nc │ waiting │ OPEN    │ in 13s       │ 10.7 MiB, 1m 31s │ 2.0 KiB
vendor failed at 2026-01-31T12:00:00.000Z: it answered 503\\u{1b}[31m

journal 0f8fad5b-d9cb-469f-a165-70867728950e (disk): 1.5 MiB of 1.0 GiB in 3 segments, 4.7 GiB free
journal: 1 requests wait for space
journal: 2 requests refused
journal: 1 places with 64 bytes could not be read
journal: 4 writes failed
dead letters: 2 with 900 bytes of 256.0 MiB
`,
  );
});

Deno.test("bytes and durations are said in the unit that suits them", () => {
  const bytes: [number, string][] = [
    [0, "0 bytes"],
    [1023, "1023 bytes"],
    [1024, "1.0 KiB"],
    [1_048_575, "1.0 MiB"],
    [5 * 1024 ** 3, "5.0 GiB"],
    [5000 * 1024 ** 4, "5000.0 TiB"],
  ];
  for (const [value, text] of bytes) assert.equal(bytesText(value), text);
  const durations: [number, string][] = [
    [0, "0s"],
    [0.2, "1s"],
    [59, "59s"],
    [59.5, "1m 0s"],
    [3599, "59m 59s"],
    [3600, "1h 0m"],
    [86_399, "23h 59m"],
    [90_000, "1d 1h"],
  ];
  for (const [value, text] of durations) assert.equal(durationText(value), text);
});
