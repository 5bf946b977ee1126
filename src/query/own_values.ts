/**
 * A quick look at rows before their attributes are put together.
 *
 * To read an attribute the way a filter does takes some microseconds a row. Whether a row can have it
 * at all takes a tenth of that: the value is one of the row's own, or the row's attribute set is one
 * that has it.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import type { Filter } from "../filter.ts";
import type { Queryable } from "../postgres/database.ts";
import type { Signal } from "../record.ts";
import { isPrintedJson } from "./needs.ts";

/** Sets that are compared one by one; a value that more of them have is frequent. */
const MAX_SETS = 4_096;

/** Adds a condition that every row meets which the filter chooses. */
export type QuickLook = (where: Conditions) => void;

/** What rows can be asked quickly: an attribute's equality with a value that everything depends on. */
export async function quickLooks(
  reader: Queryable,
  filter: Filter,
  signal: Signal,
): Promise<QuickLook[]> {
  const asked = signal === "metrics" ? [] : equalities(filter);
  if (asked.length === 0) return [];
  const parameters = new Conditions();
  const parts = asked.map(({ key, value }, n) => {
    const name = parameters.parameter(key);
    const number = parameters.parameter(ownTexts(value).length > 2 ? value : null);
    return `(select ${n} as n, id from otel_data.attribute_sets
     where case jsonb_typeof(attributes -> ${name}::text)
       when 'number' then (attributes ->> ${name}::text)::numeric = ${number}::numeric
       else attributes ->> ${name}::text = ${parameters.parameter(value)}::text
     end
     limit ${MAX_SETS + 1})`;
  });
  const rows = await reader.query<{ n: number; id: bigint }>(
    parts.join(" union all "),
    parameters.parameters,
  );
  return asked.flatMap(({ value }, n): QuickLook[] => {
    const sets = rows.filter((row) => row.n === n).map(({ id }) => id);
    if (sets.length > MAX_SETS) return [];
    return [(where) =>
      where.addSql(
        `(t.attribute_values && ${where.parameter(ownTexts(value))}::text[]
      or t.attribute_set_id = any (${
          where.parameter(sets)
        }::bigint[]) or t.attributes is not null)`,
      )];
  });
}

/** The equalities of attributes that everything depends on. */
function equalities(filter: Filter): { readonly key: string; readonly value: string }[] {
  if (filter.kind === "and") return filter.parts.flatMap(equalities);
  if (filter.kind !== "compare" || filter.operator !== "=" || isPrintedJson(filter.value)) {
    return [];
  }
  const { target, value } = filter;
  return target.kind === "attribute" && target.of !== "resource"
    ? [{ key: target.key, value }]
    : [];
}

/**
 * All texts that an own value may be, if it is equal to a value of a filter: itself; within quotes what
 * stands for bytes and for doubles that are no numbers; an integer and a double of the same size.
 */
export function ownTexts(value: string): string[] {
  const texts = [value, `"${value}"`];
  const [, sign, whole, fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,3}))?$/i.exec(value) ?? [];
  if (sign === undefined) return texts;
  const integer = integerText(sign, whole! + fraction, Number(exponent) - fraction.length);
  if (integer !== undefined) texts.push(integer);
  const double = Number(value);
  if (Number.isInteger(double)) {
    texts.push(`${Math.abs(double) < 1e21 ? double : BigInt(double)}.0`);
  } else if (Number.isFinite(double)) texts.push(String(double));
  return texts;
}

/** `digits` with so many zeros behind them, undefined when that is no integer. */
function integerText(sign: string, digits: string, zeros: number): string | undefined {
  const all = digits + "0".repeat(Math.max(zeros, 0));
  const cut = zeros < 0 ? all.length + zeros : all.length;
  if (/[^0]/.test(all.slice(Math.max(cut, 0)))) return undefined;
  return String(BigInt(`${sign}${cut > 0 ? all.slice(0, cut) : "0"}`));
}
