/** Names of services and operations, for fields that complete them. */

import type { JSX } from "preact";
import type { OperationList, ServiceList } from "../../frame/answers.ts";
import { useAnswer } from "../../frame/answer.ts";
import { get } from "../../frame/api.ts";
import { rangeKey, rangeParameters } from "../../frame/range.ts";

/** Services of the range, as a `datalist`. */
export function ServiceSuggestions({ id }: { readonly id: string }): JSX.Element {
  const answer = useAnswer(
    rangeKey(),
    (signal) => get<ServiceList>("/api/services", rangeParameters(), signal),
  );
  return <Names id={id} names={answer.data.value?.services.map(({ service }) => service)} />;
}

/** Operations of a service, as a `datalist`. */
export function OperationSuggestions(
  { id, service }: { readonly id: string; readonly service: string },
): JSX.Element {
  const answer = useAnswer(
    service === "" ? undefined : `${service}\0${rangeKey()}`,
    (signal) => get<OperationList>("/api/operations", { ...rangeParameters(), service }, signal),
  );
  return <Names id={id} names={answer.data.value?.operations.map(({ operation }) => operation)} />;
}

function Names(
  { id, names = [] }: { readonly id: string; readonly names?: readonly string[] | undefined },
): JSX.Element {
  return (
    <datalist id={id}>
      {[...new Set(names)].filter((name) => name !== "").map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}
