/** Completes the names in a filter as they are typed. */

/** A name that is being typed. */
export interface TypedName {
  /** Where it begins in the text. */
  readonly from: number;
  readonly text: string;
}

/** So many are offered. */
const MOST = 10;

/**
 * The name that is being typed before the cursor; undefined where a value is typed, or a quoted text.
 *
 * @example Names stand where conditions begin
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const at = (text: string) => nameAt(text, text.length)?.text;
 * assert.equal(at("http.ro"), "http.ro");
 * assert.equal(at("a = 1 and (ht"), "ht");
 * assert.equal(at("a = 1 "), "");
 * assert.equal(at("a = ht"), undefined);
 * assert.equal(at("a has ht"), undefined);
 * assert.equal(at('a = "b ht'), undefined);
 * ```
 */
export function nameAt(text: string, cursor: number): TypedName | undefined {
  const before = text.slice(0, cursor);
  const [typed] = /[\w.:/-]*$/.exec(before)!;
  const lead = before.slice(0, before.length - typed.length);
  const isQuoted = (lead.match(/(?<!\\)"/g)?.length ?? 0) % 2 === 1;
  const isValue = /([=<>~]|\bhas)\s*$/i.test(lead);
  return isQuoted || isValue ? undefined : { from: lead.length, text: typed };
}

/**
 * Names that have what is typed in them: first those that begin with it.
 *
 * @example A beginning is better than a middle
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const names = ["http.route", "kind", "url.path", "path"];
 * assert.deepEqual(matching(names, "PA"), ["path", "url.path"]);
 * ```
 */
export function matching(names: readonly string[], typed: string): string[] {
  const text = typed.toLowerCase();
  const found = names.filter((name) => name.toLowerCase().includes(text));
  const begins = (name: string) => name.toLowerCase().startsWith(text) ? 0 : 1;
  return found.sort((a, b) => begins(a) - begins(b)).slice(0, MOST);
}
