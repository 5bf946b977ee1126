/** The operations of a service, at the right. */

import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { RequestCounts } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { Details } from "../../frame/details.tsx";
import { setParameters, withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { rangeKey, rangeParameters } from "../../frame/range.ts";
import { RedTable } from "./red_table.tsx";
import { shownName } from "./service_name.tsx";

const LIMIT = 100;

/** The operations. */
export function Operations({ service }: { readonly service: string }): JSX.Element {
  const key = `${service} ${rangeKey()}`;
  const answer = useAnswer(key, (signal) =>
    get<RequestCounts>("/api/requests", {
      ...rangeParameters(),
      service,
      by: "operation",
      limit: LIMIT,
    }, signal));
  return (
    <Details title={shownName(service)} close={() => setParameters({ service: "" })}>
      <p class="links">
        <a href={withParameters("/traces", { service })}>Traces</a>
        <a href={withParameters("/traces", { service, errors: "1" })}>Failed traces</a>
        <a href={withParameters("/logs", { service })}>Logs</a>
        <a href={withParameters("/logs", { service, minSeverity: "17" })}>Error logs</a>
      </p>
      <Panel answer={answer} label={`Operations of ${shownName(service)}`}>
        {(counts) =>
          counts.groups.length === 0
            ? <p class="muted">It was asked for nothing in this time range.</p>
            : (
              <>
                <RedTable
                  counts={counts}
                  title="Operation"
                  order="operations"
                  view={key}
                  name={({ operation = "" }) => (
                    <a href={withParameters("/traces", { service, operation })}>
                      {operation || "(no name)"}
                    </a>
                  )}
                  failed={({ operation = "" }) =>
                    withParameters("/traces", { service, operation, errors: "1" })}
                />
                {counts.groups.length === LIMIT && (
                  <p class="muted">The {LIMIT} with the most requests; there may be more.</p>
                )}
              </>
            )}
      </Panel>
    </Details>
  );
}
