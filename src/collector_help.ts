/**
 * What `--help` prints.
 *
 * @module
 */

import { COMMAND_OPTIONS, type CommandOption } from "./collector_command.ts";
import { FLAGS } from "./collector_flags.ts";
import { FORWARD_FLAGS } from "./collector_forwards.ts";

interface Described {
  readonly value: string;
  readonly env: string;
  readonly about: string;
}

const settings: readonly [string, Described][] = Object.entries<Described>({
  ...FORWARD_FLAGS,
  ...FLAGS,
});

/** The commands and every option. */
export const HELP: string = `\
Receives OpenTelemetry over OTLP/HTTP, keeps it in Postgres and forwards it.

Usage: collector [serve]          receive until SIGINT or SIGTERM
       collector migrate          bring the database to this version's schema
       collector maintain         make partitions ahead, seal closed ones, drop expired ones
       collector stats            print what became of the records, by destination
       collector query sql SQL    print the rows of a query that reads
       collector query traces     or trace ID, logs, metrics, services, errors, …: print what is
                                  stored; query --help tells all, and their flags
       collector replay --to URL  send what is stored to an OTLP destination
       collector dead-letters list             list what a destination would not take
       collector dead-letters show NAME        print a letter and its records
       collector dead-letters replay [NAME…]   deliver letters again, all without a name
       collector dead-letters drop NAME…       remove letters for good

Options, each also by the environment variable behind it:
${
  settings.map(([name, { value, env, about }]) =>
    `  ${`--${name} ${value}`.padEnd(30)} ${about}\n${" ".repeat(33)}${env}\n`
  ).join("")
}
Options of dead-letters:
${optionsOf("dead-letters")}
Options of replay:
${optionsOf("replay")}
Options of all:
  --json                         print lines of JSON, also on a terminal
  -h, --help                     print this
  --version                      print the version

A variable holds several destinations or headers separated by commas, headers percent-encoded.
`;

function optionsOf(command: "dead-letters" | "replay"): string {
  return Object.entries<CommandOption>(COMMAND_OPTIONS)
    .filter(([, { of }]) => of.includes(command))
    .map(([name, { value, about }]) => {
      const option = value === undefined ? `--${name}` : `--${name} ${value}`;
      return `  ${option.padEnd(30)} ${about}\n`;
    }).join("");
}
