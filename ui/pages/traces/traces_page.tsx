/** The page of traces: a search, and what it finds as a picture and as a list. */

import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { type Answer, useAnswer } from "../../frame/answer.ts";
import { slotsOf } from "../../frame/colors.ts";
import { Panel } from "../../frame/panel.tsx";
import { refreshes } from "../../frame/range.ts";
import { useZoomKey } from "../../frame/zoom.ts";
import { everReceived } from "./ever_received.ts";
import { FirstRun } from "./first_run.tsx";
import { NoMatch } from "./no_match.tsx";
import { ResultBar } from "./result_bar.tsx";
import { Scatter } from "./scatter.tsx";
import { isNarrowed, searchParameters, shown, sort } from "./search.ts";
import { SearchBar } from "./search_bar.tsx";
import { sortedTraces } from "./trace_columns.tsx";
import { TraceList } from "./trace_list.tsx";
import { type FoundTraces, TracePages } from "./trace_pages.ts";

/** The page. */
export function TracesPage(): JSX.Element {
  const { found, look } = useFound();
  useZoomKey();
  const isEmpty = found.data.value?.traces.length === 0 && !isNarrowed.value;
  const received = useAnswer(isEmpty ? "received" : undefined, everReceived);
  const isFirstRun = useRef(false);
  isFirstRun.current = isEmpty && (isFirstRun.current || received.data.value === false);
  if (isFirstRun.current) {
    const lookAgain = () => {
      received.askAgain();
      if (found.askedMs.peek() === undefined) look();
    };
    return (
      <main class="page">
        <Panel answer={found} label="First span" class="grow">
          {() => <FirstRun received={received.data.value === true} look={lookAgain} />}
        </Panel>
      </main>
    );
  }
  const isUnsure = isEmpty && received.data.value === undefined && !received.error.value;
  return (
    <main class="page">
      <h1 class="hidden">Traces</h1>
      <SearchBar />
      <Panel
        answer={found}
        label="Traces"
        class="grow"
        advice="A shorter time range, or a service, would make it faster."
      >
        {(data) => isUnsure ? null : <Found found={data} />}
      </Panel>
    </main>
  );
}

/** The traces of the search that the address says, and how to look for new ones. */
function useFound(): { readonly found: Answer<FoundTraces>; readonly look: () => void } {
  const parameters = searchParameters();
  const key = `${JSON.stringify(parameters)} ${refreshes.value}`;
  const count = shown.value;
  const pages = useRef<TracePages>(new TracePages(parameters));
  useMemo(() => pages.current = new TracePages(parameters), [key]);
  const found = useAnswer(`${key} ${count}`, (signal) => pages.current.upTo(count, signal));
  const look = () => {
    pages.current = new TracePages(parameters);
    found.ask();
  };
  return { found, look };
}

function Found({ found }: { readonly found: FoundTraces }): JSX.Element {
  const { traces, hasMore } = found;
  const slots = useMemo(
    () => slotsOf(traces.flatMap(({ services }) => services.map(({ service }) => service))),
    [traces],
  );
  const sorted = useMemo(() => sortedTraces(traces), [traces, sort.value]);
  if (traces.length === 0 && !hasMore) return <NoMatch hasMore={hasMore} />;
  return (
    <>
      <Scatter found={found} slots={slots} isNewestFirst={sort.value !== "slowest"} />
      <ResultBar found={found} />
      {traces.length === 0
        ? <NoMatch hasMore={hasMore} />
        : <TraceList traces={sorted} slots={slots} />}
    </>
  );
}
