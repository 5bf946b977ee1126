import assert from "node:assert/strict";
import { QUERY_HELP, readSettings } from "../src/collector_args.ts";
import { API_QUERIES } from "../src/api_queries.ts";
import { parametersFrom, QUESTIONS } from "../src/query_flags.ts";
import { optionsFrom } from "../src/api_parameters.ts";

/** 2026-01-31T12:00:00Z. */
const NOW_MS = 1_769_860_800_000;
const ID = "5b8efff798038103d269b633813fc60c";

function read(line: string, ...more: string[]): Record<string, unknown> {
  const settings = readSettings([...line.split(" "), ...more], () => undefined, NOW_MS);
  assert.ok(typeof settings === "object" && settings.command === "query" && "ask" in settings);
  const { ask, options, logs, follow } = settings;
  return { ask, options, logs, follow };
}

function refused(line: string, message: string | RegExp): void {
  assert.throws(() => readSettings(line.split(" "), () => undefined, NOW_MS), {
    name: "UsageError",
    message,
  });
}

Deno.test("every path of the API is a question, and a trace is one of the traces", () => {
  assert.deepEqual(
    QUESTIONS.map(({ name }) => name),
    "services operations attributes requests service-graph errors traces trace similar-traces "
      .concat("compared-traces logs log-counts metrics metric metric-buckets exemplars partitions")
      .split(" "),
  );
  assert.equal(QUESTIONS.length, API_QUERIES.length);
});

Deno.test("flags are the parameters of a question, with their values as its schema takes them", () => {
  assert.deepEqual(
    read(
      "query traces --service shop --min-duration-ns 5 --since 2h --order slowest --limit 7",
      "--filter",
      "http.route = /a",
    ),
    {
      ask: "traces",
      options: {
        since: BigInt(NOW_MS - 7_200_000) * 1_000_000n,
        service: "shop",
        minDurationNs: 5n,
        filter: "http.route = /a",
        order: "slowest",
        limit: 7,
      },
      logs: false,
      follow: false,
    },
  );
  assert.deepEqual(read(`query trace ${ID} --logs`), {
    ask: "trace",
    options: { traceId: ID },
    logs: true,
    follow: false,
  });
  assert.deepEqual(
    read("query metric latency --quantiles 0.5 --quantiles 0.9 --group-by service"),
    {
      ask: "metric",
      options: { metric: "latency", quantiles: [0.5, 0.9], groupBy: ["service"] },
      logs: false,
      follow: false,
    },
  );
  assert.deepEqual(read("query requests --over-time").options, { overTime: true });
});

Deno.test("durations are taken as people write them", () => {
  assert.deepEqual(
    read("query traces --min-duration 250ms --max-duration 1.5s --last 2h").options,
    {
      lastMs: 7_200_000,
      minDurationNs: 250_000_000n,
      maxDurationNs: 1_500_000_000n,
    },
  );
  refused(
    "query traces --min-duration 250",
    'Cannot use --min-duration "250": must be a duration such as 250ms, 1.5s or 2h',
  );
  refused(
    "query log-counts --step 5us",
    'Cannot use --step "5us": must be a duration such as 250ms, 1.5s or 2h, of whole milliseconds',
  );
  refused(
    "query traces --min-duration 1s --min-duration-ns 5",
    "Cannot read the command line: --min-duration and --min-duration-ns say the same",
  );
});

Deno.test("what cannot be is refused with the flag and its value", () => {
  refused("query traces --limit 1000000", /^Cannot use --limit 1000000: .*1000/);
  refused("query traces --limit many", "Cannot use --limit 'many': it has to be a number");
  refused("query traces --since yesterday", /^Cannot use --since 'yesterday': it has to be a time/);
  refused("query traces --kind HOUSE", /^Cannot use --kind 'HOUSE': .*SERVER/);
  refused("query logs --min-severity 25", /^Cannot use --min-severity 25: /);
  refused(
    "query trace 5b8e",
    "Cannot use the trace id of query trace '5b8e': a trace id is 32 hex digits",
  );
  refused("query metric latency --quantiles 2", /^Cannot use --quantiles 2: /);
  refused("query trace", "Cannot read the command line: query trace takes the trace id");
  refused(
    `query trace ${ID} ${ID}`,
    `Cannot read the command line: query trace takes no argument "${ID}"`,
  );
  refused("query operations", "Cannot read the command line: query operations takes --service");
  refused(
    "query services --severity 3",
    "Cannot read the command line: unknown option '--severity'",
  );
  refused(
    "query services --kind SERVER",
    "Cannot read the command line: query services takes no --kind; it takes --since, --until, " +
      "--last-ms, --last, --name, --limit",
  );
  refused(
    "stats --kind SERVER",
    "Cannot read the command line: --kind belongs to query, not to stats",
  );
  refused("query sevices", /^Cannot read the command line: query takes sql .*services.*"sevices"$/);
  refused("query", /^Cannot read the command line: query takes sql .*partitions$/);
});

Deno.test("options are the same again as parameters of a URL", () => {
  const { options } = read("query metric latency --quantiles 0.5 --quantiles 1 --since 2h");
  const { api } = QUESTIONS.find(({ name }) => name === "metric")!;
  const parameters = parametersFrom(options as Record<string, unknown>);
  assert.deepEqual(optionsFrom(api.parameters, parameters, NOW_MS + 5_000), options);
});

Deno.test("the help of query names each question, its argument and its flags", () => {
  for (
    const text of [
      "query traces: ",
      "query trace TRACEID: ",
      "query metric METRIC: ",
      "--min-duration-ns N",
      "--min-duration DURATION",
      "--order newest|slowest",
      "--over-time ",
      "--logs ",
    ]
  ) assert.ok(QUERY_HELP.includes(text), text);
});
