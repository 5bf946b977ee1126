/**
 * A quick look at rows before their attributes are put together.
 *
 * To read an attribute the way a filter does takes some microseconds a row. Whether a row can have it
 * at all takes a tenth of that: the value is one of the row's own, or the row's attribute set is one
 * that has it.
 *
 * @module
 */

import type { Conditions } from "../conditions.ts";
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
  if (signal === "metrics") return [];
  if (filter.kind === "and") {
    const looks: QuickLook[] = [];
    for (const part of filter.parts) looks.push(...await quickLooks(reader, part, signal));
    return looks;
  }
  if (filter.kind !== "compare" || filter.operator !== "=" || isPrintedJson(filter.value)) {
    return [];
  }
  const { target, value } = filter;
  if (target.kind !== "attribute" || target.of === "resource") return [];
  const texts = ownTexts(value);
  const rows = await reader.query<{ id: bigint }>(
    `select id from otel_data.attribute_sets
     where case jsonb_typeof(attributes -> $1::text)
       when 'number' then (attributes ->> $1::text)::numeric = $2::numeric
       else attributes ->> $1::text = $3::text
     end
     limit ${MAX_SETS + 1}`,
    [target.key, texts.length > 2 ? value : null, value],
  );
  if (rows.length > MAX_SETS) return [];
  const sets = rows.map(({ id }) => id);
  return [(where) =>
    where.addSql(
      `(t.attribute_values && ${where.parameter(texts)}::text[]
      or t.attribute_set_id = any (${
        where.parameter(sets)
      }::bigint[]) or t.attributes is not null)`,
    )];
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
