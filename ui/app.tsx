/** The frame and the page in it. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Help } from "./frame/help.tsx";
import { Login } from "./frame/login.tsx";
import { currentTab, currentTrace } from "./frame/routes.ts";
import { TopBar } from "./frame/top_bar.tsx";
import { LogsPage } from "./pages/logs/logs_page.tsx";
import { MetricsPage } from "./pages/metrics/metrics_page.tsx";
import { PipelinePage } from "./pages/pipeline/pipeline_page.tsx";
import { ServicesPage } from "./pages/services/services_page.tsx";
import { TracePage } from "./pages/trace/trace_page.tsx";
import { TracesPage } from "./pages/traces/traces_page.tsx";

const PAGES: Readonly<Record<string, () => JSX.Element>> = {
  "/traces": TracesPage,
  "/logs": LogsPage,
  "/charts": MetricsPage,
  "/services": ServicesPage,
  "/pipeline": PipelinePage,
};

/** All of it. */
export function App(): JSX.Element {
  const tab = currentTab.value;
  const traceId = currentTrace.value;
  const Page = PAGES[tab.path]!;
  useEffect(() => {
    document.title = `${traceId === undefined ? tab.name : `Trace ${traceId.slice(0, 8)}`} · OTel`;
  }, [tab, traceId]);
  return (
    <>
      <TopBar />
      {traceId === undefined
        ? <Page key={tab.path} />
        : <TracePage key={traceId} traceId={traceId} />}
      <Help />
      <Login />
    </>
  );
}
