/** One dead letter, at the right. */

import type { JSX } from "preact";
import { useAnswer } from "../../frame/answer.ts";
import { Copy } from "../../frame/copy.tsx";
import { Details } from "../../frame/details.tsx";
import { bytes, time } from "../../frame/format.ts";
import { setParameters } from "../../frame/location.ts";
import { Panel } from "../../frame/panel.tsx";
import { nanosOf } from "../../frame/range.ts";
import { recordsText } from "./balance.ts";
import { ask, type LetterHead } from "./letter_groups.ts";

/** Of a body. */
const SHOWN_BYTES = 4_096;

interface Letter {
  readonly head: LetterHead;
  /** Base64. */
  readonly body: string;
}

/** The letter. */
export function LetterSample({ name }: { readonly name: string }): JSX.Element {
  const answer = useAnswer(
    name,
    async (signal): Promise<Letter> => await (await ask({ action: "read", name }, signal)).json(),
  );
  return (
    <Details title="Dead letter" close={() => setParameters({ letter: "" })}>
      <Panel answer={answer} label="Dead letter">
        {({ head, body }) => (
          <>
            <table class="table facts">
              <tbody>
                {Object.entries({
                  Destination: head.destination,
                  Reason: head.reason || "(it said nothing)",
                  Records: recordsText(head.signal, head.count),
                  Arrived: time(head.arrivalUnixNano, 9),
                  Refused: time(nanosOf(head.diedAtMs)),
                  Attempts: head.attempts,
                  Name: head.name,
                }).map(([key, value]) => (
                  <tr key={key}>
                    <th scope="row">{key}</th>
                    <td class="data">{value}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            <p class="links">
              <Copy text={head.name} label="Copy the name" />
              <Copy text={body} label="Copy the body as base64" />
            </p>
            <h3>Body</h3>
            <p class="muted">
              {bytes(head.bytes)} of OTLP in protobuf; what of it is text{head.bytes > SHOWN_BYTES
                ? `, of the first ${bytes(SHOWN_BYTES)}`
                : ""}:
            </p>
            <pre tabIndex={0} role="group" aria-label="Body">{textIn(body)}</pre>
          </>
        )}
      </Panel>
    </Details>
  );
}

/** The texts in the beginning of a body, a line each. */
function textIn(base64: string): string {
  const binary = atob(base64.slice(0, SHOWN_BYTES / 3 * 4 & ~3));
  const whole = Uint8Array.from(binary, (one) => one.charCodeAt(0));
  const text = new TextDecoder().decode(whole).replaceAll("\ufffd", "\n");
  // Numbers and lengths look like texts of a character or two.
  const texts = text.match(/[\p{L}\p{N}\p{P}\p{S} ]{4,}/gu) ?? [];
  return texts.filter((one) => /\p{L}{3}/u.test(one)).join("\n");
}
