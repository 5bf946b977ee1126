/** The page of metrics: which there are, and one of them over time. */

import type { JSX } from "preact";
import { parameter } from "../../frame/location.ts";
import { useZoomKey } from "../../frame/zoom.ts";
import { HeatMap } from "./heat_map.tsx";
import { MetricBar } from "./metric_bar.tsx";
import { MetricChart } from "./metric_chart.tsx";
import { MetricList } from "./metric_list.tsx";

const HISTOGRAMS = new Set(["histogram", "exponential_histogram"]);

/** The page. */
export function MetricsPage(): JSX.Element {
  const name = parameter("metric");
  useZoomKey();
  return (
    <main class="page metrics">
      <h1 class="hidden">Metrics</h1>
      <MetricList />
      {name === ""
        ? <p class="empty muted">Choose a metric to see its values.</p>
        : (
          <section class="metric" aria-label={name} tabIndex={0}>
            <h2 class="data">{name}</h2>
            <MetricBar />
            <MetricChart />
            {HISTOGRAMS.has(parameter("type")) && <HeatMap />}
          </section>
        )}
    </main>
  );
}
