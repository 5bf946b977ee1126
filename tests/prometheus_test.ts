import assert from "node:assert/strict";
import type { AdapterStats } from "../src/adapter_stats.ts";
import { prometheusText } from "../src/prometheus.ts";
import { NUMBERS } from "./adapter_numbers.ts";

/** What a parser of the format, written from its description, makes of a text. */
interface Exposition {
  /** Type by name. */
  readonly types: ReadonlyMap<string, string>;
  /** Value by name and labels in the order of their names. */
  readonly samples: ReadonlyMap<string, number>;
}

/**
 * Refuses whatever the format does not allow: a second HELP or TYPE of a name, one behind a sample of
 * it, names that are not together, a sample twice, a value that is no number, a wrong escape.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
 */
function parse(text: string): Exposition {
  assert.ok(text.endsWith("\n"));
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples = new Map<string, number>();
  const done = new Set<string>();
  let current = "";
  const enter = (name: string) => {
    if (name === current) return;
    assert.ok(!done.has(name), `${name} is not in one group`);
    if (current !== "") done.add(current);
    current = name;
  };
  for (const line of text.slice(0, -1).split("\n")) {
    const [, keyword, about, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      enter(about!);
      assert.ok(!helps.has(about!), line);
      assert.doesNotMatch(rest!, /\\(?![\\n])/);
      helps.add(about!);
      continue;
    }
    if (keyword === "TYPE") {
      enter(about!);
      assert.ok(!types.has(about!), line);
      assert.match(rest!, /^(counter|gauge|histogram|summary|untyped)$/);
      types.set(about!, rest!);
      continue;
    }
    const [, name, labels = "", value] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/.exec(line) ??
        [];
    assert.ok(name !== undefined, `neither a comment nor a sample: ${line}`);
    enter(name);
    assert.ok(types.has(name), `a sample before its TYPE: ${line}`);
    const key = `${name}${parseLabels(labels)}`;
    assert.ok(!samples.has(key), `twice: ${key}`);
    samples.set(key, Number(value));
  }
  for (const name of types.keys()) assert.ok(helps.has(name), `no HELP of ${name}`);
  return { types, samples };
}

function parseLabels(text: string): string {
  const labels: [string, string][] = [];
  const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
  for (let at = 0; at < text.length; at = label.lastIndex) {
    label.lastIndex = at;
    const [, name, value] = label.exec(text) ?? [];
    assert.ok(name !== undefined, `no label at ${at} of ${text}`);
    labels.push([name, value!.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c)]);
  }
  assert.equal(new Set(labels.map(([name]) => name)).size, labels.length, text);
  return labels.length === 0 ? "" : JSON.stringify(Object.fromEntries(labels.sort()));
}

const { types, samples } = parse(prometheusText(NUMBERS));

function sample(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const sorted = Object.entries(labels).sort();
  const key = sorted.length === 0 ? "" : JSON.stringify(Object.fromEntries(sorted));
  return samples.get(`otel_storage_${name}${key}`);
}

const SIGNALS = ["traces", "logs", "metrics"] as const;

Deno.test("the parser of the test refuses what the format does not allow", () => {
  const head = "# HELP a x\n# TYPE a gauge\n";
  assert.equal(parse(`${head}a{b="c"} 1\n`).samples.get('a{"b":"c"}'), 1);
  for (
    const wrong of [
      "a 1\n",
      `${head}a 1`,
      `${head}a one\n`,
      `${head}a 1\na 2\n`,
      `${head}${head}a 1\n`,
      `${head}a{b="\\x"} 1\n`,
      `${head}a{b="c} 1\n`,
      `${head}a{b="c",b="d"} 1\n`,
      `${head}a 1\n# HELP b x\n# TYPE b gauge\nb 1\na{c="d"} 1\n`,
      "# TYPE a gauge\na 1\n",
    ]
  ) {
    assert.throws(() => parse(wrong), assert.AssertionError, wrong);
  }
});

Deno.test("Prometheus gets every term of the ledger, by signal and by destination", () => {
  for (const signal of SIGNALS) {
    assert.equal(sample("received_records_total", { signal }), NUMBERS.received[signal]);
    assert.equal(sample("rejected_records_total", { signal }), NUMBERS.rejected[signal]);
    assert.equal(sample("duplicate_records_total", { signal }), NUMBERS.duplicates[signal]);
    assert.equal(sample("accepted_records_total", { signal }), NUMBERS.accepted[signal]);
    for (const destination of NUMBERS.destinations) {
      const value = (name: string) =>
        sample(`destination_${name}`, { destination: destination.name, signal });
      assert.equal(value("accepted_records_total"), destination.accepted[signal]);
      assert.equal(value("delivered_records_total"), destination.delivered[signal]);
      assert.equal(value("pending_records"), destination.pending[signal]);
      assert.equal(value("dead_records_total"), destination.dead[signal]);
      assert.equal(value("skipped_records_total"), destination.skipped[signal]);
      assert.equal(value("rejected_records_total"), destination.rejectedThere[signal]);
    }
  }
});

Deno.test("Prometheus gets how far each destination is and when it is tried again, in base units", () => {
  const vendor = (name: string, labels = {}) =>
    sample(`destination_${name}`, { destination: "vendor", ...labels });
  assert.equal(vendor("lag_bytes"), 11_250_671);
  assert.equal(vendor("lag_seconds"), 90.5);
  assert.equal(vendor("gap_bytes_total"), 2048);
  assert.equal(vendor("next_attempt_seconds"), 12.5);
  assert.equal(vendor("attempts_total"), 30);
  assert.equal(vendor("failures_total"), 7);
  assert.equal(vendor("paused"), 0);
  const states = ["closed", "half_open", "open"].map((state) => vendor("breaker_state", { state }));
  assert.deepEqual(states, [0, 0, 1]);
  // With quotes, a backslash and a line break in it.
  assert.equal(vendor("info", { kind: "otlp", url: NUMBERS.destinations[1]!.url }), 1);
});

Deno.test("Prometheus gets what the journal, the followers and the dead letters take", () => {
  const { journal } = NUMBERS;
  const cases: [name: string, value: number][] = [
    ["journal_bytes", journal.bytes],
    ["journal_max_bytes", journal.maxBytes],
    ["journal_queued_bytes", journal.queuedBytes],
    ["journal_free_bytes", journal.freeBytes],
    ["journal_segments", journal.segments],
    ["journal_waiting_requests", journal.waiting],
    ["journal_keys", journal.keys],
    ["journal_appended_requests_total", journal.appended],
    ["journal_refused_requests_total", journal.refused],
    ["journal_keys_evicted_total", journal.keysEvictedEarly],
    ["journal_damaged_places_total", journal.damaged],
    ["journal_damaged_bytes_total", journal.damagedBytes],
    ["journal_gaps_total", journal.gaps],
    ["journal_gap_bytes_total", Number(journal.gapBytes)],
    ["journal_failed_writes_total", journal.failedWrites],
    ["log_followers", 2],
    ["log_tail_skipped_records_total", 8],
    ["log_tail_dropped_records_total", 21],
    ["dead_letters", 2],
    ["dead_letters_bytes", 900],
    ["dead_letters_max_bytes", 268_435_456],
    ["dead_letters_written_total", 3],
    ["dead_letters_repeated_total", 1],
    ["dead_letters_dropped_total", 1],
  ];
  for (const [name, value] of cases) assert.equal(sample(name), value, name);
  assert.equal(sample("journal_info", { id: journal.id, kind: "disk" }), 1);
});

Deno.test("what became of records at a destination is not told while nobody knows where it is", () => {
  const [postgres, vendor] = NUMBERS.destinations;
  const lost = { ...NUMBERS, destinations: [{ ...postgres!, located: false }, vendor!] };
  const { samples: fewer } = parse(prometheusText(lost));
  const missing = [...samples.keys()].filter((key) => !fewer.has(key));
  const expected = ["delivered", "dead", "skipped"].flatMap((name) =>
    SIGNALS.map((signal) =>
      `otel_storage_destination_${name}_records_total{"destination":"postgres","signal":"${signal}"}`
    )
  );
  assert.deepEqual(missing.sort(), expected.sort());
});

Deno.test("counters are named as such, and nothing else is", () => {
  assert.ok(types.size > 40);
  for (const [name, type] of types) {
    assert.match(name, /^otel_storage_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});

Deno.test("a disk whose space is unknown and an adapter without destinations say less, and well", () => {
  const { journal } = NUMBERS;
  const little: AdapterStats = {
    ...NUMBERS,
    journal: { ...journal, freeBytes: Infinity },
    destinations: [],
  };
  const { types } = parse(prometheusText(little));
  assert.ok(!types.has("otel_storage_journal_free_bytes"));
  assert.ok(types.has("otel_storage_journal_bytes"));
  assert.ok(![...types.keys()].some((name) => name.includes("destination")));
});
