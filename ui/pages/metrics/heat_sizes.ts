/** What the rows of a heat map stand for. */

import { withParameters } from "../../frame/location.ts";
import { nsOf, valueText } from "./metric_value.ts";

/** Sizes: larger than `above`, and not larger than `upTo`; infinite where there is no end. */
export interface Sizes {
  readonly above: number;
  readonly upTo: number;
}

/** Sizes as they are read. */
export function sizesText({ above, upTo }: Sizes, unit: string): string {
  const text = (value: number) => valueText(value, { unit, isRate: false });
  if (above === -Infinity) return `up to ${text(upTo)}`;
  return upTo === Infinity ? `above ${text(above)}` : `${text(above)} to ${text(upTo)}`;
}

/**
 * Where the traces are that took as long as some sizes say; undefined when they are no durations.
 *
 * @param filter Which series were counted: spans mostly have the attributes of what is measured of them.
 */
export function tracesOf(
  range: { readonly since: string; readonly until: string },
  { above, upTo }: Sizes,
  unit: string,
  filter: string,
): string | undefined {
  const ns = nsOf(unit);
  if (ns === undefined) return undefined;
  const ms = (value: number) => `${Number((value * ns / 1e6).toPrecision(6))}ms`;
  return withParameters("/traces", {
    ...range,
    query: filter,
    min: above > 0 ? ms(above) : "",
    max: upTo < Infinity ? ms(upTo) : "",
  });
}
