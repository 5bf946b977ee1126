/** The pages: their paths, names and keys. `/metrics` is for Prometheus, so charts have another. */

import { computed } from "@preact/signals";
import { here } from "./location.ts";

/** A page with a tab. */
export interface Tab {
  readonly path: string;
  readonly name: string;
  /** The second of two keys that go there. */
  readonly key: string;
}

/** The tabs, in their order. */
export const TABS: readonly Tab[] = [
  { path: "/traces", name: "Traces", key: "t" },
  { path: "/logs", name: "Logs", key: "l" },
  { path: "/charts", name: "Metrics", key: "m" },
  { path: "/services", name: "Services", key: "s" },
  { path: "/pipeline", name: "Pipeline", key: "p" },
];

/** The tab that is shown; the first for `/`. */
export const currentTab = computed<Tab>(() =>
  TABS.find(({ path }) => here.value.pathname.startsWith(path)) ?? TABS[0]!
);

/** The trace that is shown, 32 hex digits; undefined when none is. */
export const currentTrace = computed<string | undefined>(() =>
  /^\/traces\/([0-9a-f-]{32,36})$/i.exec(here.value.pathname)?.[1]
);
