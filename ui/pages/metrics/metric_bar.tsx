/** What is computed of a metric: its function, its groups, and which series. */

import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { MetricAnswer } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { range, rangeKey, rangeMs } from "../../frame/range.ts";
import {
  ALL_IN_ONE,
  EACH_SERIES,
  functionsOf,
  group,
  kindParameters,
  metricPath,
} from "./metric_query.ts";

/** The bar. */
export function MetricBar(): JSX.Element {
  const functions = functionsOf(parameter("type"), parameter("temporality"));
  const chosen = group.value;
  const keys = new Set(["service", ...useAttributeKeys()]);
  if (chosen !== ALL_IN_ONE && chosen !== EACH_SERIES) keys.add(chosen);
  return (
    <form
      class="metric-bar"
      onSubmit={(event) => {
        event.preventDefault();
        const filter = String(new FormData(event.currentTarget).get("filter") ?? "");
        setParameters({ filter: filter.trim() });
      }}
    >
      <select
        aria-label="Function"
        value={parameter("function")}
        onChange={(event) => setParameters({ function: event.currentTarget.value })}
      >
        <option value="">Usual function</option>
        {functions.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
      <select
        aria-label="Group"
        value={chosen}
        onChange={(event) => setParameters({ group: event.currentTarget.value })}
      >
        <option value={ALL_IN_ONE}>All series as one</option>
        <option value={EACH_SERIES}>Each series</option>
        {[...keys].map((key) => <option key={key} value={key}>by {key}</option>)}
      </select>
      <input
        key={parameter("filter")}
        name="filter"
        type="search"
        class="grow data"
        aria-label="Filter"
        placeholder="Filter: service = shop"
        defaultValue={parameter("filter")}
        spellcheck={false}
      />
    </form>
  );
}

/** What series can be grouped by: the attributes of all of them, each with a single value. */
function useAttributeKeys(): readonly string[] {
  const path = metricPath();
  const [fromMs, toMs] = rangeMs(range.value);
  const parameters = { ...kindParameters(), function: "count", stepMs: Math.max(1, toMs - fromMs) };
  const answer = useAnswer<MetricAnswer>(
    `${path} ${parameter("filter")} ${rangeKey()}`,
    (signal) => get(path, parameters, signal),
  );
  const series = answer.data.value?.metrics[0]?.series ?? [];
  return [...new Set(series.flatMap(({ attributes }) => attributes.map(({ key }) => key)))].sort();
}
