/**
 * The command line of `deno task bench`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import type { Signal } from "../src/record.ts";

/** Every row, in the order in which they are measured. */
export const ROWS = [
  "ingest",
  "latency",
  "encodings",
  "cardinality",
  "shape",
  "partitions",
  "volume",
  "upkeep",
  "size",
  "memory",
  "pglite",
] as const;

/** A part of the table. */
export type RowName = typeof ROWS[number];

/** What takes long, or has no goal, is asked for by name. */
const USUAL: readonly RowName[] = ["ingest", "latency", "encodings", "size", "memory", "pglite"];

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

const count = (max: number) => z.coerce.number().int().min(1).max(max);

function list<T extends string>(values: readonly T[], all: readonly T[]) {
  return z.string().transform((text) => text === "all" ? all : text.split(","))
    .pipe(z.array(z.enum(values)).min(1))
    .transform((chosen) => values.filter((value) => chosen.includes(value)));
}

const FLAGS = {
  rows: {
    schema: list(ROWS, ROWS),
    default: USUAL.join(),
    about: `rows of the table: ${ROWS.join()} or all`,
  },
  signals: {
    schema: list(SIGNALS, SIGNALS),
    default: "all",
    about: "traces, logs, metrics or all",
  },
  alternations: {
    schema: count(1_000),
    default: "7",
    about: "how often each comparison is made",
  },
  records: {
    schema: count(10_000_000),
    default: "200000",
    about: "spans, logs or points of each run",
  },
  connections: { schema: count(1_000), default: "16", about: "of the sender" },
  batch: { schema: count(8_192), default: "512", about: "records of a request" },
  volume: {
    schema: count(1_000),
    default: "5",
    about: "million rows that are there before, in the row of that name",
  },
  seconds: { schema: count(3_600), default: "10", about: "how long latency is looked at" },
  dir: {
    schema: z.string(),
    default: "",
    about: "where databases and journals are made, on a real disk (temporary folder)",
  },
  cpus: {
    schema: z.string().regex(/^[\d,-]*$/),
    default: "",
    about: "processors for everything together, e.g. 0,1 (all that there are)",
  },
} as const;

/** What to measure. */
export interface Settings {
  readonly rows: readonly RowName[];
  readonly signals: readonly Signal[];
  readonly alternations: number;
  readonly records: number;
  readonly connections: number;
  readonly batch: number;
  /** Millions of rows. */
  readonly volume: number;
  readonly seconds: number;
  /** Undefined for the folder of temporary files. */
  readonly dir: string | undefined;
  /** Undefined for all. */
  readonly cpus: string | undefined;
}

/** What `--help` prints. */
export const HELP: string = `\
Measures speed and size against Postgres alone, and prints one table. See bench/README.md.

Usage: deno task bench [options]

${
  Object.entries(FLAGS).map(([name, { about, default: value }]) =>
    `  ${`--${name}`.padEnd(15)} ${about}${value && ` (${value})`}`
  ).join("\n")
}`;

/**
 * Reads the command line; undefined when it asks for help.
 *
 * @throws {Error} With a message for people when an option is unknown or its value makes no sense.
 */
export function readSettings(args: string[]): Settings | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", short: "h" },
      ...Object.fromEntries(
        Object.keys(FLAGS).map((name) => [name, { type: "string" as const }]),
      ),
    },
  });
  if (values.help) return undefined;
  const read = <N extends keyof typeof FLAGS>(name: N): z.output<(typeof FLAGS)[N]["schema"]> => {
    const { schema, default: usual } = FLAGS[name];
    const text = (values as Record<string, string | undefined>)[name] ?? usual;
    const { data, error } = schema.safeParse(text);
    if (error) throw new Error(`--${name} ${text}: ${error.issues[0]!.message}`);
    return data as z.output<(typeof FLAGS)[N]["schema"]>;
  };
  return {
    rows: read("rows"),
    signals: read("signals"),
    alternations: read("alternations"),
    records: read("records"),
    connections: read("connections"),
    batch: read("batch"),
    volume: read("volume"),
    seconds: read("seconds"),
    dir: read("dir") || undefined,
    cpus: read("cpus") || undefined,
  };
}
