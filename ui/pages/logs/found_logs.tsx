/** The log records that were found, and the one that is open. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { count } from "../../frame/format.ts";
import { here, parameter, setParameters, withParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { range, setRange, widened } from "../../frame/range.ts";
import { LogDetails } from "./log_details.tsx";
import { logKey } from "./log_query.ts";
import { LogRows } from "./log_rows.tsx";
import { useLogSearch } from "./log_search.ts";
import { useRowKeys } from "../../frame/row_keys.ts";

/** They, with the histogram's `total` above them. */
export function FoundLogs({ total }: { readonly total: number | undefined }): JSX.Element {
  const search = useLogSearch();
  const logs = search.logs.value;
  const chosen = parameter("log");
  const active = useSignal(-1);
  const at = active.value >= 0 ? active.value : logs.findIndex((log) => logKey(log) === chosen);
  const open = (index: number) => {
    const log = logs[index];
    active.value = index;
    if (log) setParameters({ log: logKey(log) }, { replace: chosen !== "" });
  };
  const close = () => setParameters({ log: "", context: "" }, { replace: true });
  useRowKeys({
    count: logs.length,
    at,
    move: (index) => chosen === "" ? active.value = index : open(index),
    open,
  });
  return (
    <div class="columns">
      <Panel answer={search.answer} label="Log records">
        {() =>
          logs.length === 0 ? <NoMatch /> : (
            <>
              <LogRows
                label="Log records"
                rows={logs}
                rowKey={(index) => index}
                active={at}
                chosen={chosen}
                open={open}
                onScroll={(_, last) => last >= logs.length - 100 && search.more()}
              />
              <p class="log-count muted" role="status">
                {logs.length.toLocaleString("en")}
                {search.hasMore.value &&
                  ` of ${total === undefined ? `≥${count(logs.length + 1)}` : count(total)}`}{" "}
                records
                {search.moreError.value !== undefined && (
                  <>
                    {" "}
                    <span class="error">{search.moreError.value}</span>
                    <button type="button" class="quiet" onClick={() => search.more()}>Retry</button>
                  </>
                )}
              </p>
            </>
          )}
      </Panel>
      {chosen !== "" && (
        <LogDetails
          chosen={chosen}
          known={logs.find((log) => logKey(log) === chosen)}
          close={close}
        />
      )}
    </div>
  );
}

const NAMES: Readonly<Record<string, string>> = {
  text: "words",
  filter: "filter",
  minSeverity: "severity from",
  service: "service",
};

/** What is asked for, and how to ask for more. */
function NoMatch(): JSX.Element {
  const names = Object.keys(NAMES);
  const given = names.filter((name) => parameter(name) !== "");
  const nothing = Object.fromEntries(names.map((name) => [name, ""]));
  return (
    <div class="empty">
      <h2>No log records</h2>
      {given.length > 0 && (
        <p>
          Asked for: {given.map((name) => `${NAMES[name]} “${parameter(name)}”`).join(", ")}
        </p>
      )}
      <p class="log-actions">
        {given.length > 0 && (
          <a class="button" href={withParameters("/logs", nothing, here.value.searchParams)}>
            Clear the filters
          </a>
        )}
        <button type="button" onClick={() => setRange(widened(range.value))}>
          Widen the time range
        </button>
      </p>
    </div>
  );
}
