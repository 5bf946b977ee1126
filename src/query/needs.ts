/**
 * What rows cannot do without if a filter is to choose them, in terms (`postgres/terms.ts`).
 *
 * @module
 */

import type { Filter } from "../filter.ts";
import type { Condition } from "../filter_sql.ts";
import {
  ANY_WORD,
  eachWord,
  keyTerm,
  NAME,
  numberTerm,
  RESOURCE,
  SERVICE,
  type TermDimension,
  valueTerm,
} from "../postgres/terms.ts";
import type { Signal } from "../record.ts";

/** A term, the id of one of the dimensions that a condition chooses, or several such. */
export type Need =
  | { readonly kind: "term"; readonly term: number }
  | {
    readonly kind: "dimension";
    readonly of: TermDimension;
    readonly filter: Condition;
  }
  | { readonly kind: "and" | "or"; readonly parts: readonly Need[] };

const encoder = new TextEncoder();

/**
 * What rows need; undefined when terms do not say.
 *
 * @example An attribute may be a text or a number
 * ```ts
 * import { parseFilter } from "../filter.ts";
 * import assert from "node:assert/strict";
 *
 * const need = needOf(parseFilter("order.id = 42 and not kind = server"), "traces");
 * assert.equal(need?.kind === "and" && need.parts[0]?.kind, "or");
 * assert.equal(needOf(parseFilter("duration > 1s"), "traces"), undefined);
 * ```
 */
export function needOf(filter: Filter, signal: Signal): Need | undefined {
  if (signal === "metrics") return undefined;
  switch (filter.kind) {
    case "and":
      return allOf(filter.parts.map((part) => needOf(part, signal)));
    case "or": {
      const parts = filter.parts.map((part) => needOf(part, signal));
      return parts.length > 0 && parts.every((part) => part !== undefined)
        ? { kind: "or", parts }
        : undefined;
    }
    case "not":
      return undefined;
    case "exists":
    case "compare":
      return conditionNeed(filter, signal);
  }
}

/** Of all that is needed, what terms say. */
function allOf(parts: readonly (Need | undefined)[]): Need | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : { kind: "and", parts: known };
}

function conditionNeed(
  filter: Condition,
  signal: Signal,
): Need | undefined {
  const { target } = filter;
  if (target.kind === "field") {
    if (target.name === "service") return { kind: "dimension", of: SERVICE, filter };
    if (target.name === "operation") return { kind: "dimension", of: NAME, filter };
    return target.name === "text" && signal === "logs" ? textNeed(filter) : undefined;
  }
  if (target.of === "resource") return { kind: "dimension", of: RESOURCE, filter };
  // Every comparison asks for an attribute that is there.
  const key = keyTerm(target.key);
  const equals = filter.kind === "compare" && filter.operator === "=" &&
    !isPrintedJson(filter.value);
  if (!equals) return { kind: "term", term: key };
  const terms = [valueTerm(filter.value, key)!];
  // A number is equal to a number however either is written, and to its text.
  const number = Number(filter.value);
  if (!Number.isNaN(number)) terms.push(numberTerm(number, key));
  return { kind: "or", parts: terms.map((term) => ({ kind: "term", term })) };
}

/** The text of an array or a map has no term. */
export function isPrintedJson(value: string): boolean {
  return /^[[{]/.test(value);
}

/** Of words that are looked for in either case, the ASCII parts: others have cases that we do not know. */
function textNeed(filter: Condition): Need | undefined {
  if (filter.kind === "exists") return undefined;
  const { operator, value } = filter;
  const pieces = operator === "has" ? value.match(/\w+/g) ?? [] : operator === "=" ? [value] : [];
  const words: number[] = [];
  for (const piece of pieces) {
    const bytes = encoder.encode(piece);
    eachWord(bytes, 0, bytes.length, (term) => words.push(term));
  }
  return allOf(words.map((word): Need => ({
    kind: "or",
    parts: [{ kind: "term", term: word }, { kind: "term", term: ANY_WORD }],
  })));
}
