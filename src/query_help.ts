/**
 * What `query --help` prints.
 *
 * @module
 */

import { flagsOf, type Question, QUESTIONS } from "./query_flags.ts";

/** Every question and its flags. */
export const QUERY_HELP: string = `\
Reads what is stored: a table on a terminal, elsewhere or with --json an object a line, exact.

Usage: collector query NAME [FLAGS]
       collector query sql SQL

T is a time: RFC 3339, ns or ms since 1970, or ago: 90m, 2h, 7d. DURATION is one such as 250ms.
${QUESTIONS.map(textOf).join("")}`;

function textOf(question: Question): string {
  const { name, argument, api } = question;
  const usage = argument === undefined ? name : `${name} ${argument.toUpperCase()}`;
  const flags = flagsOf(question).map(({ name, value, about }) => {
    const flag = value === undefined ? `--${name}` : `--${name} ${value}`;
    return `  ${flag.padEnd(30)} ${about}\n`;
  });
  return `\nquery ${usage}: ${api.summary}\n${flags.join("")}`;
}
