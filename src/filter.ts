/**
 * The one filter grammar: what replay, queries, the API and the page accept to choose records.
 *
 * ```text
 * service = shop and duration > 250ms and not http.route ~ "^/health"
 * severity >= warn (resource.k8s.pod.name exists or "user id" = 42)
 * ```
 *
 * | what | how |
 * | --- | --- |
 * | comparison | `field op value`, with `=` `!=` `<` `<=` `>` `>=`, and `~` `!~` for regular expressions |
 * | words | `field has "disk full"`: each of these words is in it, in any order |
 * | presence | `field exists` |
 * | both, either, none | `and` (or nothing between two), `or`, `not`, parentheses; `and` binds closer than `or` |
 * | fields | `service`, `operation` (span name), `kind`, `status`, `duration`, `severity`, `text` (log message; of a span its name, status message and the texts in its attributes and events), `metric` (its name) |
 * | attributes | any other name: `http.route`; of the resource: `resource.host.name`; `attributes.kind` for one named like a field |
 * | quoting | `"…"` round a name or value with blanks, operators or the words above in it; `\"` and `\\` inside |
 * | values | words, numbers (`-1.5e3`), durations (`250us`, `1.5s`, `2m`, `1h`), severities (`warn`, or 1 to 24) |
 *
 * A comparison with something that a record does not have is false, `!=` and `!~` as well; `not` turns
 * that round. Numbers compare with numbers, other values as text. Words of the grammar and the names of
 * kinds, status and severities are taken in either case, and so are words that are looked for: whole
 * runs of letters, digits and `_`. Regular expressions are those of Postgres.
 *
 * @module
 */

import { parseDuration } from "./duration.ts";

/** Fields with a name of their own. */
export type FilterField =
  | "service"
  | "operation"
  | "kind"
  | "status"
  | "duration"
  | "severity"
  | "text"
  | "metric";

/** What is compared: a field, or an attribute of the record or of its resource. */
export type FilterTarget =
  | { readonly kind: "field"; readonly name: FilterField }
  | { readonly kind: "attribute"; readonly of: "record" | "resource"; readonly key: string };

/** How two values are compared. */
export type FilterOperator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" | "has";

/** A parsed filter. */
export type Filter =
  | { readonly kind: "and" | "or"; readonly parts: readonly Filter[] }
  | { readonly kind: "not"; readonly part: Filter }
  | { readonly kind: "exists"; readonly target: FilterTarget }
  | {
    readonly kind: "compare";
    readonly target: FilterTarget;
    readonly operator: FilterOperator;
    /** As it was written; nanoseconds for `duration`, 1 to 24 for `severity`, upper case for `kind` and `status`. */
    readonly value: string;
    /** Whether `value` is a number to compare with numbers. */
    readonly isNumber: boolean;
  };

/** The text is no filter. */
export class FilterError extends Error {
  override readonly name = "FilterError";
  /** Where in the text, counted from 0. */
  readonly at: number;

  /** @param reason What is wrong there. */
  constructor(reason: string, at: number) {
    super(`Cannot read the filter at character ${at + 1}: ${reason}`);
    this.at = at;
  }
}

/** A longer text is refused, so that nothing that reads filters has to bound its work. */
export const MAX_FILTER_LENGTH = 4096;
const MAX_DEPTH = 64;

const FIELDS: ReadonlySet<string> = new Set<FilterField>([
  "service",
  "operation",
  "kind",
  "status",
  "duration",
  "severity",
  "text",
  "metric",
]);
/** The kinds of a span by their number in OTLP. */
export const KINDS: readonly string[] = [
  "UNSPECIFIED",
  "INTERNAL",
  "SERVER",
  "CLIENT",
  "PRODUCER",
  "CONSUMER",
];
/** The statuses of a span by their number in OTLP. */
export const STATUSES: readonly string[] = ["UNSET", "OK", "ERROR"];
const SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d{1,3})?$/i;
const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|(!=|<=|>=|!~|[=<>~()])|([^\s"=<>~!()]+))/y;

interface Token {
  readonly kind: "quoted" | "operator" | "word" | "end";
  readonly text: string;
  readonly at: number;
}

/**
 * Parses a filter. An empty text chooses everything: an `and` of nothing.
 *
 * @throws {FilterError} The text is no filter; the message says where and why.
 *
 * @example A filter
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseFilter("duration > 1.5ms"), {
 *   kind: "compare",
 *   target: { kind: "field", name: "duration" },
 *   operator: ">",
 *   value: "1500000",
 *   isNumber: true,
 * });
 * ```
 */
export function parseFilter(text: string): Filter {
  if (text.length > MAX_FILTER_LENGTH) {
    throw new FilterError(`it is longer than ${MAX_FILTER_LENGTH} characters`, MAX_FILTER_LENGTH);
  }
  return new Parser(tokensOf(text)).whole();
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0;;) {
    while (at < text.length && /\s/.test(text[at]!)) at++;
    if (at === text.length) return [...tokens, { kind: "end", text: "the end", at }];
    TOKEN.lastIndex = at;
    const [whole, quoted, operator, word] = TOKEN.exec(text) ?? [];
    if (whole === undefined) {
      throw new FilterError(text[at] === '"' ? "the quote is not closed" : `"${text[at]}"`, at);
    }
    if (quoted !== undefined) {
      tokens.push({ kind: "quoted", text: quoted.slice(1, -1).replace(/\\(.)/gs, "$1"), at });
    } else if (operator !== undefined) tokens.push({ kind: "operator", text: operator, at });
    else tokens.push({ kind: "word", text: word!, at });
    at += whole.length;
  }
}

const HAS: Token = { kind: "operator", text: "has", at: 0 };

/**
 * The words of a text, which `has` looks for.
 *
 * @example Two words
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(wordsOf("disk-full!"), ["disk", "full"]);
 * ```
 */
export function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+/gu) ?? [];
}

/** Recursive descent, one method a rule. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Filter {
    if (this.#peek.kind === "end") return { kind: "and", parts: [] };
    const filter = this.#either();
    const rest = this.#peek;
    if (rest.kind !== "end") throw new FilterError(`"${rest.text}" does not belong here`, rest.at);
    return filter;
  }

  get #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    const token = this.#peek;
    if (token.kind !== "end") this.#next++;
    return token;
  }

  /** Takes a word of the grammar or a parenthesis, if it is the next one. */
  #takes(text: string): boolean {
    const { kind, text: next } = this.#peek;
    const is = kind !== "quoted" && kind !== "end" && next.toLowerCase() === text;
    if (is) this.#next++;
    return is;
  }

  #either(): Filter {
    const parts = [this.#both()];
    while (this.#takes("or")) parts.push(this.#both());
    return parts.length === 1 ? parts[0]! : { kind: "or", parts };
  }

  #both(): Filter {
    const parts = [this.#one()];
    while (this.#takes("and") || this.#startsOne()) parts.push(this.#one());
    return parts.length === 1 ? parts[0]! : { kind: "and", parts };
  }

  #startsOne(): boolean {
    const { kind, text } = this.#peek;
    return kind === "quoted" || text === "(" || (kind === "word" && text.toLowerCase() !== "or");
  }

  #one(): Filter {
    if (++this.#depth > MAX_DEPTH) {
      throw new FilterError(`it nests deeper than ${MAX_DEPTH} levels`, this.#peek.at);
    }
    try {
      if (this.#takes("not")) return { kind: "not", part: this.#one() };
      if (!this.#takes("(")) return this.#comparison();
      const inner = this.#either();
      if (!this.#takes(")")) {
        throw new FilterError(`expected ")", not ${this.#peek.text}`, this.#peek.at);
      }
      return inner;
    } finally {
      this.#depth--;
    }
  }

  #comparison(): Filter {
    const target = this.#target();
    if (this.#takes("exists")) return { kind: "exists", target };
    const has = this.#takes("has");
    const operator = has ? HAS : this.#take();
    if (operator.kind !== "operator" || operator.text === "(" || operator.text === ")") {
      throw new FilterError(
        `expected = != < <= > >= ~ !~ has or exists, not ${operator.text}`,
        operator.at,
      );
    }
    const value = this.#take();
    if (value.kind !== "word" && value.kind !== "quoted") {
      throw new FilterError(`expected a value, not ${value.text}`, value.at);
    }
    const compare = (as: FilterOperator): Filter => ({
      kind: "compare",
      target,
      operator: as,
      ...valueOf(target, as, value),
    });
    const isNamedSeverity = target.kind === "field" && target.name === "severity" &&
      !/^\d+$/.test(value.text);
    // The name of a severity stands for four numbers.
    if (isNamedSeverity && operator.text === "=") {
      return { kind: "and", parts: [compare(">="), compare("<=")] };
    }
    if (isNamedSeverity && operator.text === "!=") {
      return { kind: "or", parts: [compare("<"), compare(">")] };
    }
    return compare(operator.text as FilterOperator);
  }

  #target(): FilterTarget {
    const { kind, text, at } = this.#take();
    if (kind === "quoted") return { kind: "attribute", of: "record", key: text };
    if (kind !== "word") throw new FilterError(`expected a field, not ${text}`, at);
    if (FIELDS.has(text.toLowerCase())) {
      return { kind: "field", name: text.toLowerCase() as FilterField };
    }
    const prefix = /^(resource|attributes)\./.exec(text);
    if (prefix === null) return { kind: "attribute", of: "record", key: text };
    const of = prefix[1] === "resource" ? "resource" : "record";
    const key = text.slice(prefix[0].length);
    if (key !== "") return { kind: "attribute", of, key };
    // `resource."odd key"`: the quoted rest stands without a blank before it.
    const rest = this.#take();
    if (rest.kind !== "quoted" || rest.at !== at + text.length) {
      throw new FilterError(`expected the name of an attribute after "${text}"`, at);
    }
    return { kind: "attribute", of, key: rest.text };
  }
}

/** What is compared with, in the form that the field has. */
function valueOf(
  target: FilterTarget,
  operator: FilterOperator,
  { kind, text, at }: Token,
): { value: string; isNumber: boolean } {
  const field = target.kind === "field" ? target.name : undefined;
  const isNumber = field === "duration" || field === "severity";
  if (isNumber && (operator === "has" || operator.endsWith("~"))) {
    throw new FilterError(`a ${field} is a number: ${operator} is for texts`, at);
  }
  if (operator === "has") {
    if (wordsOf(text).length === 0) throw new FilterError(`there is no word in "${text}"`, at);
    return { value: text, isNumber: false };
  }
  if (operator.endsWith("~")) return { value: text, isNumber: false };
  switch (field) {
    case "duration":
      return { value: durationOf(text, at), isNumber: true };
    case "severity":
      return { value: severityOf(text, operator, at), isNumber: true };
    case "kind":
      return { value: oneOf(KINDS, text, at), isNumber: false };
    case "status":
      return { value: oneOf(STATUSES, text, at), isNumber: false };
    case undefined:
      return { value: text, isNumber: kind === "word" && NUMBER.test(text) };
    default:
      return { value: text, isNumber: false };
  }
}

function durationOf(text: string, at: number): string {
  const nanos = parseDuration(text);
  if (nanos !== undefined) return String(nanos);
  throw new FilterError(`"${text}" is no duration, such as 250ms, 1.5s or 2m`, at);
}

/** A name stands for the lowest of its four numbers, or the highest where all four are meant. */
function severityOf(text: string, operator: FilterOperator, at: number): string {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= 24) return text;
  const rank = SEVERITIES.indexOf(text.toUpperCase());
  if (rank < 0) {
    throw new FilterError(`"${text}" is no severity: ${SEVERITIES.join(", ")} or 1 to 24`, at);
  }
  const isHighest = operator === ">" || operator === "<=";
  return String(rank * 4 + (isHighest ? 4 : 1));
}

function oneOf(names: readonly string[], text: string, at: number): string {
  const name = text.toUpperCase();
  if (!names.includes(name)) {
    throw new FilterError(`"${text}" is none of ${names.join(", ")}`, at);
  }
  return name;
}
