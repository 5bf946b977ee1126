/**
 * Conditions of a read, with their parameters.
 *
 * @module
 */

import type { SqlValue } from "./postgres/database.ts";

/**
 * Conditions on rows `t`, joined by and. Values travel as parameters.
 *
 * @example Two of them
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const where = new Conditions();
 * where.add("t.severity_number >= $::int", 17);
 * where.add("t.span_id = $", 5n);
 * assert.equal(where.sql, "where t.severity_number >= $1::int and t.span_id = $2");
 * assert.deepEqual(where.parameters, [17, 5n]);
 * ```
 */
export class Conditions {
  /** What stands for `$1`, `$2`, … */
  readonly parameters: SqlValue[];
  readonly #terms: string[] = [];

  /** @param parameters Those of other conditions in the same statement; new ones are added to them. */
  constructor(parameters: SqlValue[] = []) {
    this.parameters = parameters;
  }

  /** The WHERE clause; empty when there is no condition. */
  get sql(): string {
    return this.#terms.length === 0 ? "" : `where ${this.#terms.join(" and ")}`;
  }

  /** Adds a parameter and returns its name. */
  parameter(value: SqlValue): string {
    this.parameters.push(value);
    return `$${this.parameters.length}`;
  }

  /** Adds a time as a parameter, in nanoseconds since 1970, and returns the SQL of it in microseconds. */
  timestamp(nanos: bigint): string {
    return `otel_data.to_timestamptz(${this.parameter(BigInt.asIntN(64, nanos))}::bigint)`;
  }

  /** Adds a condition whose only `$` stands for `value`. */
  add(term: string, value: SqlValue): void {
    this.#terms.push(term.replace("$", () => this.parameter(value)));
  }

  /** Adds a condition that is SQL already, with parameters by name. */
  addSql(term: string): void {
    this.#terms.push(term);
  }

  /**
   * A time range on the times of the rows; for a record that came without one, its arrival.
   *
   * @throws {RangeError} A bound is no time.
   */
  time({ since, until }: { readonly since?: bigint; readonly until?: bigint }): void {
    if (since !== undefined) this.#bound(">=", since, "<");
    // A whole microsecond belongs to what comes after it, and so may its partition.
    if (until !== undefined) this.#bound(until % 1000n === 0n ? "<" : "<=", until, ">=");
  }

  /** Microseconds first, which indexes and partitions know; then the nanoseconds beyond them. */
  #bound(within: string, nanos: bigint, beyond: string): void {
    if (nanos !== BigInt.asUintN(64, nanos)) {
      throw new RangeError(
        `Cannot read a time range: a bound has to be 0 to 2^64-1 nanoseconds: ${nanos}`,
      );
    }
    const micros = this.timestamp(nanos);
    const frac = nanos % 1000n;
    this.#terms.push(`t.time ${within} ${micros}`);
    if (frac > 0n) {
      this.#terms.push(`not (t.time = ${micros} and greatest(t.time_frac, 0) ${beyond} ${frac})`);
    }
  }
}
