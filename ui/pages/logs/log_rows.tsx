/** Log records as rows, one line each. */

import type { JSX, RefObject } from "preact";
import type { StoredLog } from "../../frame/answers.ts";
import { duration, time, timeOfDay, utc } from "../../frame/format.ts";
import { Rows } from "../../frame/rows.tsx";
import { attributeText, valueText } from "../../frame/value.ts";
import type { TailRow } from "./log_tail.ts";
import { logKey, logTime, severityClass, severityName } from "./log_query.ts";

const HEIGHT = 24;

/** A row: a record, or a time without connection. */
export type LogRow = StoredLog | Extract<TailRow, { kind: "gap" }>;

/** The record of a row; undefined for a gap. */
export function logOf(row: LogRow | undefined): StoredLog | undefined {
  return row === undefined || "kind" in row ? undefined : row;
}

/** The rows. */
export function LogRows(
  { label, rows, rowKey, active, chosen, open, scroller, onScroll }: {
    readonly label: string;
    readonly rows: readonly LogRow[];
    readonly rowKey: (index: number) => string | number;
    /** Where the keys are. */
    readonly active: number;
    /** The key of the record that is open. */
    readonly chosen: string;
    readonly open: (index: number) => void;
    readonly scroller?: RefObject<HTMLDivElement | null>;
    readonly onScroll?: (first: number, last: number) => void;
  },
): JSX.Element {
  const isChosen = (log: StoredLog | undefined) =>
    chosen !== "" && log !== undefined && logKey(log) === chosen;
  // Of records that are equal in all, the one where the keys are.
  const isActiveChosen = isChosen(logOf(rows[active]));
  return (
    <Rows
      class="log-rows"
      role="grid"
      label={label}
      count={rows.length}
      height={HEIGHT}
      rowKey={rowKey}
      active={active}
      {...scroller && { scroller }}
      {...onScroll && { onScroll }}
      head={
        <div class="log-row log-head" aria-hidden="true">
          <span>Time</span>
          <span>Severity</span>
          <span>Service</span>
          <span>Message</span>
        </div>
      }
      row={(index) => {
        const row = rows[index]!;
        const log = logOf(row);
        if (log === undefined) {
          return <Gap row={row as Extract<TailRow, { kind: "gap" }>} index={index} />;
        }
        return (
          <Line
            log={log}
            index={index}
            isActive={index === active}
            isChosen={isActiveChosen ? index === active : isChosen(log)}
            open={open}
          />
        );
      }}
    />
  );
}

function Gap(
  { row, index }: { readonly row: Extract<TailRow, { kind: "gap" }>; readonly index: number },
): JSX.Element {
  return (
    <div class="log-row log-gap" role="row" aria-rowindex={index + 1}>
      <span role="gridcell">
        No connection for {duration(row.lostMs * 1e6)}: lines may be missing here
      </span>
    </div>
  );
}

function Line(
  { log, index, isActive, isChosen, open }: {
    readonly log: StoredLog;
    readonly index: number;
    readonly isActive: boolean;
    readonly isChosen: boolean;
    readonly open: (index: number) => void;
  },
): JSX.Element {
  const { record, resource } = log;
  const at = logTime(log);
  return (
    <div
      class="log-row"
      role="row"
      aria-rowindex={index + 1}
      aria-selected={isChosen}
      data-active={isActive}
      onClick={() => {
        // Text that was chosen is to be copied.
        if (getSelection()?.isCollapsed !== false) open(index);
      }}
    >
      <span role="gridcell" class="data" title={`${time(at, 9)}\n${utc(at)}`}>
        {timeOfDay(at)}
      </span>
      <span role="gridcell" class={`data ${severityClass(record)}`}>{severityName(record)}</span>
      <span role="gridcell" class="log-service">
        {attributeText(resource.attributes, "service.name")}
      </span>
      <span role="gridcell" class="data log-message">{messageOf(log)}</span>
    </div>
  );
}

/** What a record says: its body, else the name of its event. */
export function messageOf({ record }: StoredLog): string {
  return valueText(record.body) || record.eventName;
}
