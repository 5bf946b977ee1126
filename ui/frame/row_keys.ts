/** The keys that move in a list and open what is in it. */

import { type Key, useKeys } from "./keys.ts";

const PAGE = 20;

/** A list. */
export interface RowList {
  readonly count: number;
  /** Where one is; -1 for nowhere. */
  readonly at: number;
  readonly move: (index: number) => void;
  readonly open: (index: number) => void;
}

/** Listens as long as the list is there. */
export function useRowKeys({ count, at, move, open }: RowList): void {
  const to = (index: number) => () => {
    if (count > 0) move(Math.max(0, Math.min(count - 1, index)));
  };
  useKeys([
    ...movingKeys("row", at, count, to),
    { key: "Enter", about: "Open the row", act: () => at >= 0 && open(at) },
  ], [count, at, move, open]);
}

/** The keys that move from row to row. */
export function movingKeys(
  row: string,
  at: number,
  count: number,
  to: (index: number) => () => void,
): Key[] {
  return [
    { key: "j", about: `Next ${row}`, act: to(at + 1) },
    { key: "k", about: `${upperFirst(row)} before`, act: to(at - 1) },
    { key: "ArrowDown", about: `Next ${row}`, act: to(at + 1) },
    { key: "ArrowUp", about: `${upperFirst(row)} before`, act: to(at - 1) },
    { key: "PageDown", about: "A page on", act: to(at + PAGE) },
    { key: "PageUp", about: "A page back", act: to(at - PAGE) },
    { key: "Home", about: `First ${row}`, act: to(0) },
    { key: "End", about: `Last ${row}`, act: to(count - 1) },
  ];
}

function upperFirst(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
