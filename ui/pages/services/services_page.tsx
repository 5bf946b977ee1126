/** The page of services: requests by service, and who calls whom. */

import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { RequestCounts, ServiceGraph } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { slotsOf } from "../../frame/colors.ts";
import { parameter, setParameters, withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import {
  range,
  rangeKey,
  rangeName,
  rangeParameters,
  setRange,
  widened,
} from "../../frame/range.ts";
import { useRepeat } from "../../frame/repeat.ts";
import { everReceived } from "../traces/ever_received.ts";
import { FirstRun } from "../traces/first_run.tsx";
import { GraphPanel, MAX_EDGES } from "./graph_panel.tsx";
import { namesOf } from "./neighbourhood.ts";
import { Operations } from "./operations.tsx";
import { RedTable } from "./red_table.tsx";
import { ServiceName } from "./service_name.tsx";

/** How often a range up to now is asked for again. */
const REFRESH_MS = 15_000;
const MAX_SERVICES = 1_000;

/** The page. */
export function ServicesPage(): JSX.Element {
  const key = rangeKey();
  const requests = useAnswer(key, (signal) =>
    get<RequestCounts>(
      "/api/requests",
      { ...rangeParameters(), overTime: true, limit: MAX_SERVICES },
      signal,
    ));
  const graph = useAnswer(
    key,
    (signal) =>
      get<ServiceGraph>("/api/service-graph", { ...rangeParameters(), limit: MAX_EDGES }, signal),
  );
  useRepeat(REFRESH_MS, () => {
    if (range.value.until !== "") return;
    requests.askAgain();
    graph.askAgain();
  });
  const service = parameter("service");
  const choose = (name: string) => setParameters({ service: name === service ? "" : name });
  const groups = requests.data.value?.groups ?? [];
  const names = [
    ...new Set([
      ...groups.map((group) => group.service),
      ...namesOf(graph.data.value?.edges ?? []),
    ]),
  ];
  const slots = slotsOf(names);
  return (
    <main class="page">
      <div class="columns">
        <div class="scrolled">
          <h1 class="hidden">Services</h1>
          <h2>Requests by service</h2>
          <Panel answer={requests} label="Requests by service">
            {(counts) =>
              counts.groups.length === 0 ? <NoRequests look={() => requests.askAgain()} /> : (
                <>
                  <RedTable
                    counts={counts}
                    title="Service"
                    order="sort"
                    view={key}
                    selected={service}
                    name={(group) => (
                      <ServiceName
                        service={group.service}
                        slot={slots.get(group.service)}
                        choose={() => choose(group.service)}
                      />
                    )}
                    failed={(group) =>
                      withParameters("/traces", { service: group.service, errors: "1" })}
                  />
                  {counts.groups.length === MAX_SERVICES && (
                    <p class="muted">The {MAX_SERVICES} with the most requests.</p>
                  )}
                </>
              )}
          </Panel>
          {groups.length > 0 && <GraphPanel answer={graph} names={names} choose={choose} />}
        </div>
        {service !== "" && <Operations key={service} service={service} />}
      </div>
    </main>
  );
}

/** Instead of the table: nothing at all was received, or nothing in the range. */
function NoRequests({ look }: { readonly look: () => void }): JSX.Element {
  const received = useAnswer("received", everReceived);
  if (received.data.value === false) {
    const lookAgain = () => {
      received.askAgain();
      look();
    };
    return <FirstRun received={false} look={lookAgain} />;
  }
  return (
    <div class="empty">
      <p>
        No request began in this time range ({rangeName(range.value).toLowerCase()}). Requests are
        spans of kind SERVER or CONSUMER, and spans without a parent.
      </p>
      <p>
        <button type="button" onClick={() => setRange(widened(range.value))}>
          Widen the range
        </button>
      </p>
    </div>
  );
}
