/** The page of the pipeline: what came in, where it went, what did not get there, what is kept. */

import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import type { PartitionList, StatsJson } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { parameter } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { useRepeat } from "../../frame/repeat.ts";
import { Accounting } from "./accounting.tsx";
import { DeadLetters } from "./dead_letters.tsx";
import { Destinations } from "./destinations.tsx";
import { LedgerTable } from "./ledger.tsx";
import { listLetters } from "./letter_groups.ts";
import { LetterSample } from "./letter_sample.tsx";
import { Partitions } from "./partitions.tsx";

/** How often the numbers are asked for. */
const NUMBERS_MS = 2_000;
const PARTITIONS_MS = 30_000;

/** The page. */
export function PipelinePage(): JSX.Element {
  const numbers = useAnswer("stats", (signal) => get<StatsJson>("/api/stats", {}, signal));
  const partitions = useAnswer(
    "partitions",
    (signal) => get<PartitionList>("/api/partitions", {}, signal),
  );
  const stats = numbers.data.value;
  // They are listed when there are others than before.
  const told = stats && [stats.deadLetters.letters, stats.deadLetters.written].join();
  const letters = useAnswer(told, listLetters);
  useRepeat(NUMBERS_MS, () => numbers.askAgain());
  useRepeat(PARTITIONS_MS, () => partitions.askAgain());
  const letter = parameter("letter");
  return (
    <main class="page">
      <div class="columns">
        <div class="scrolled">
          <h1 class="hidden">Pipeline</h1>
          <Panel answer={numbers} label="Numbers of the pipeline">
            {(stats) => (
              <>
                <Accounting stats={stats} />
                <Destinations stats={stats} />
                <DeadLetters
                  stats={stats.deadLetters}
                  answer={letters}
                  changed={() => numbers.ask()}
                />
                <LedgerTable stats={stats} />
              </>
            )}
          </Panel>
          <Partitions answer={partitions} retentionDays={stats?.retentionDays} />
        </div>
        {letter !== "" && <LetterSample key={letter} name={letter} />}
      </div>
    </main>
  );
}
