/**
 * What rows cannot do without if a filter is to choose them: terms (`postgres/terms.ts`), and spans that
 * are long enough (`postgres/longest.ts`).
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

/**
 * A term, the id of one of the dimensions that a condition chooses, a span of a service that takes at least
 * so long, or several such.
 */
export type Need =
  | { readonly kind: "term"; readonly term: number }
  | {
    readonly kind: "dimension";
    readonly of: TermDimension;
    readonly filter: Condition;
  }
  | { readonly kind: "longest"; readonly ofService: Condition | undefined; readonly nanos: bigint }
  | { readonly kind: "and" | "or"; readonly parts: readonly Need[] };

const encoder = new TextEncoder();

/**
 * What rows need; undefined when nothing says.
 *
 * @param service The condition on the service that rows have to meet as well.
 *
 * @example An attribute may be a text or a number
 * ```ts
 * import { parseFilter } from "../filter.ts";
 * import assert from "node:assert/strict";
 *
 * const need = needOf(parseFilter("order.id = 42 and not kind = server"), "traces");
 * assert.equal(need?.kind === "and" && need.parts[0]?.kind, "or");
 * assert.equal(needOf(parseFilter("duration < 1s"), "traces"), undefined);
 * ```
 */
export function needOf(
  filter: Filter,
  signal: Signal,
  service: Condition | undefined = serviceOf(filter),
): Need | undefined {
  if (signal === "metrics") return undefined;
  switch (filter.kind) {
    case "and":
      return allOf(filter.parts.map((part) => needOf(part, signal, service)));
    case "or": {
      const parts = filter.parts.map((part) => needOf(part, signal, serviceOf(part) ?? service));
      return parts.length > 0 && parts.every((part) => part !== undefined)
        ? { kind: "or", parts }
        : undefined;
    }
    case "not":
      return undefined;
    case "exists":
    case "compare":
      return conditionNeed(filter, signal, service);
  }
}

/** A condition on the service that all rows of a filter meet, an equality rather than another one. */
export function serviceOf(filter: Filter): Condition | undefined {
  const conditions = conjuncts(filter).filter((part) =>
    (part.kind === "exists" || part.kind === "compare") && part.target.kind === "field" &&
    part.target.name === "service"
  ) as Condition[];
  return conditions.find(isEquality) ?? conditions[0];
}

/** Whether a condition is an equality. */
export function isEquality(
  condition: Condition | undefined,
): condition is Extract<Condition, { kind: "compare" }> {
  return condition?.kind === "compare" && condition.operator === "=";
}

function conjuncts(filter: Filter): Filter[] {
  return filter.kind === "and" ? filter.parts.flatMap(conjuncts) : [filter];
}

/**
 * Whether rows need long spans and nothing else but services, which an index has together.
 *
 * @param orServices Whether services alone are as good.
 */
export function isOfDurations(need: Need, orServices: boolean): boolean {
  const leaves = leavesOf(need);
  return leaves.every((leaf) =>
    leaf.kind === "longest" || leaf.kind === "dimension" && leaf.of === SERVICE
  ) && (orServices || leaves.some(({ kind }) => kind === "longest"));
}

function leavesOf(need: Need): Need[] {
  return need.kind === "and" || need.kind === "or" ? need.parts.flatMap(leavesOf) : [need];
}

/** Of all that is needed, what terms say. */
function allOf(parts: readonly (Need | undefined)[]): Need | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : { kind: "and", parts: known };
}

function conditionNeed(
  filter: Condition,
  signal: Signal,
  service: Condition | undefined,
): Need | undefined {
  const { target } = filter;
  if (target.kind === "field") {
    if (target.name === "duration") {
      return signal === "traces" ? longNeed(filter, service) : undefined;
    }
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

/** The least that a condition on the duration asks for. */
function longNeed(filter: Condition, service: Condition | undefined): Need | undefined {
  if (filter.kind === "exists" || !filter.isNumber || !/^[>=]/.test(filter.operator)) {
    return undefined;
  }
  const nanos = BigInt(filter.value);
  return {
    kind: "longest",
    ofService: service,
    nanos: filter.operator === ">" ? nanos + 1n : nanos,
  };
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
