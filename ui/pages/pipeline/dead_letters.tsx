/** What destinations would not take, by reason, and what can be done with it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Answer } from "../../frame/answer.ts";
import type { StatsJson } from "../../frame/answers.ts";
import { ago, bytes, count, time } from "../../frame/format.ts";
import { setParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { type Column, Table } from "../../frame/table.tsx";
import { type Action, LetterAction } from "./letter_action.tsx";
import {
  groupsOf,
  keyOf,
  type LetterGroup,
  type LetterList,
  LISTED,
  recordsIn,
} from "./letter_groups.ts";

/** The letters. */
export function DeadLetters(
  { stats, answer, changed }: {
    readonly stats: StatsJson["deadLetters"];
    readonly answer: Answer<LetterList>;
    /** Told when something was done. */
    readonly changed: () => void;
  },
): JSX.Element {
  const acting = useSignal<{ readonly group: LetterGroup; readonly action: Action } | undefined>(
    undefined,
  );
  const act = (group: LetterGroup, action: Action) => acting.value = { group, action };
  return (
    <section class="part" aria-label="Dead letters">
      <h2>Dead letters</h2>
      <p class="muted">
        {count(stats.letters)} {stats.letters === 1 ? "letter" : "letters"}, {bytes(stats.bytes)} of
        {" "}
        {bytes(stats.maxBytes)}. Each is a request that its destination refused for good; it is kept
        until it is replayed or discarded.
      </p>
      <Panel answer={answer} label="Dead letters by reason">
        {({ letters, damaged }) => (
          <>
            {letters.length === LISTED && stats.letters > LISTED && (
              <p class="notice" role="status">
                Groups are of the first {count(LISTED)} of {count(stats.letters)}{" "}
                letters; what is done with a group is done with all of it.
              </p>
            )}
            {letters.length > 0 && <Groups groups={groupsOf(letters)} act={act} />}
            {damaged.map(({ name, reason }) => (
              <p key={name} class="notice error-notice">
                {name} is damaged: {reason}
              </p>
            ))}
          </>
        )}
      </Panel>
      {acting.value && (
        <LetterAction
          {...acting.value}
          close={() => acting.value = undefined}
          changed={changed}
        />
      )}
    </section>
  );
}

function Groups(
  { groups, act }: {
    readonly groups: readonly LetterGroup[];
    readonly act: (group: LetterGroup, action: Action) => void;
  },
): JSX.Element {
  const columns: Column<LetterGroup>[] = [
    ...COLUMNS,
    {
      name: "actions",
      head: <span class="hidden">Actions</span>,
      class: "actions",
      cell: (group) => {
        const button = (what: string, press: () => void) => (
          // Without the label, who hears the buttons alone does not know what each is for.
          <button
            type="button"
            aria-label={`${what} ${group.destination}: ${group.reason}`}
            onClick={press}
          >
            {what}
          </button>
        );
        return (
          <>
            {button("Sample", () => setParameters({ letter: group.letters[0]!.name }))}
            {button("Replay…", () => act(group, "replay"))}
            {button("Discard…", () => act(group, "discard"))}
          </>
        );
      },
    },
  ];
  return (
    <Table
      name="dead letters"
      label="Dead letters, their reasons"
      columns={columns}
      rows={groups}
      rowKey={keyOf}
      order="lettersBy"
    />
  );
}

const COLUMNS: readonly Column<LetterGroup>[] = [
  {
    name: "destination",
    head: "Destination",
    cell: ({ destination }) => destination,
    by: ({ destination }) => destination,
  },
  {
    name: "reason",
    head: "Reason",
    class: "last-error",
    cell: ({ reason }) => reason || "(it said nothing)",
    by: ({ reason }) => reason,
  },
  {
    name: "letters",
    head: "Letters",
    isNumber: true,
    cell: ({ letters }) => count(letters.length),
    by: ({ letters }) => letters.length,
  },
  {
    name: "records",
    head: "Records",
    isNumber: true,
    cell: ({ letters }) => recordsIn(letters).map((text) => <div key={text}>{text}</div>),
    by: ({ records }) => records,
  },
  {
    name: "oldest",
    head: "Oldest",
    class: "data",
    cell: ({ oldestNanos }) => ago(Number(BigInt(oldestNanos) / 1_000_000n)),
    by: ({ oldestNanos }) => BigInt(oldestNanos),
    title: ({ oldestNanos }) => time(oldestNanos, 9),
  },
  {
    name: "attempts",
    head: "Attempts",
    isNumber: true,
    cell: ({ attempts }) => attempts,
    by: ({ attempts }) => attempts,
  },
];
