/**
 * Needs in what granules and signatures tell of: terms, and the longest spans of services by id.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import { type Condition, dimensionIds } from "../filter_sql.ts";
import type { Queryable } from "../postgres/database.ts";
import { idTerm } from "../postgres/terms.ts";
import type { Signal } from "../record.ts";
import type { Need } from "./needs.ts";

/** More ids of dimensions than so many are not looked for one by one. */
const MAX_IDS = 16;

/** A need of what was asked for, by its number there. */
export type ResolvedNeed =
  | { readonly kind: "term"; readonly at: number }
  | { readonly kind: "longest"; readonly at: number; readonly nanos: bigint }
  | { readonly kind: "and" | "or"; readonly parts: readonly ResolvedNeed[] };

/** Ids of what a condition chooses; undefined when that is no restriction. */
export type Ids = readonly bigint[] | undefined;

/** Puts needs in numbers, and gathers what has to be asked for to know whether they are met. */
export class NeedResolver {
  readonly #reader: Queryable;
  readonly #signal: Signal;
  /** The terms that are asked for. */
  readonly terms: number[] = [];
  /** Services whose longest spans are asked for, together; undefined for those of all. */
  readonly services: Ids[] = [];
  readonly #byCondition = new Map<Condition | undefined, number>();
  readonly #known = new Map<Condition, Ids>();

  constructor(reader: Queryable, signal: Signal) {
    this.#reader = reader;
    this.#signal = signal;
  }

  /**
   * The same with the ids of dimensions for conditions on them; undefined when that is no restriction.
   *
   * @throws {FilterFieldError} A condition is on a field that these records do not have.
   */
  async resolve(need: Need): Promise<ResolvedNeed | undefined> {
    switch (need.kind) {
      case "term":
        return this.#term(need.term);
      case "dimension": {
        const ids = await this.#ids(need.filter);
        return ids && {
          kind: "or",
          parts: ids.map((id) =>
            this.#term(
              idTerm(
                need.of,
                Number(BigInt.asIntN(32, id)),
                Number(BigInt.asIntN(32, id >> 32n)),
              ),
            )
          ),
        };
      }
      case "longest":
        return { kind: "longest", at: await this.longestOf(need.ofService), nanos: need.nanos };
      case "and": {
        const parts: ResolvedNeed[] = [];
        for (const part of need.parts) {
          const resolved = await this.resolve(part);
          if (resolved !== undefined) parts.push(resolved);
        }
        return parts.length === 0 ? undefined : { kind: "and", parts };
      }
      case "or": {
        const parts: ResolvedNeed[] = [];
        for (const part of need.parts) {
          const resolved = await this.resolve(part);
          if (resolved === undefined) return undefined;
          parts.push(resolved);
        }
        return { kind: "or", parts };
      }
    }
  }

  /** The number of the services that a condition chooses, whose longest spans are asked for from now on. */
  async longestOf(condition: Condition | undefined): Promise<number> {
    const known = this.#byCondition.get(condition);
    if (known !== undefined) return known;
    const services = condition && await this.#ids(condition);
    const at = this.services.push(services) - 1;
    this.#byCondition.set(condition, at);
    return at;
  }

  #term(term: number): ResolvedNeed {
    return { kind: "term", at: this.terms.push(term) - 1 };
  }

  /** The ids that a condition chooses; undefined when they are many. */
  async #ids(condition: Condition): Promise<Ids> {
    if (this.#known.has(condition)) return this.#known.get(condition);
    const where = new Conditions();
    const sql = dimensionIds(condition, this.#signal, (value) => where.parameter(value));
    const rows = await this.#reader.query<{ id: bigint }>(
      `${sql} limit ${MAX_IDS + 1}`,
      where.parameters,
    );
    const ids = rows.length > MAX_IDS ? undefined : rows.map(({ id }) => id);
    this.#known.set(condition, ids);
    return ids;
  }
}

/**
 * Whether a need is met.
 *
 * @param has Whether a term is there.
 * @param longest How long the longest span of services is; undefined when there is none.
 */
export function meets(
  need: ResolvedNeed,
  has: (term: number) => boolean,
  longest: (services: number) => bigint | undefined,
): boolean {
  switch (need.kind) {
    case "term":
      return has(need.at);
    case "longest": {
      const nanos = longest(need.at);
      return nanos !== undefined && nanos >= need.nanos;
    }
    case "and":
      return need.parts.every((part) => meets(part, has, longest));
    case "or":
      return need.parts.some((part) => meets(part, has, longest));
  }
}
