/** The fields of the search. What is typed counts once it is finished: with Enter, or elsewhere. */

import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { parseDuration } from "../../../src/duration.ts";
import { useKeys } from "../../frame/keys.ts";
import { go, withParameters } from "../../frame/location.ts";
import { QueryField } from "./query_field.tsx";
import { search, setSearch } from "./search.ts";
import { OperationSuggestions, ServiceSuggestions } from "./suggestions.tsx";

const TEXTS = ["service", "operation", "query", "min", "max"] as const;

/** The id of a trace, by itself or in a `traceparent`: it is opened, not searched for. */
const TRACE_ID = /^(?:00-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?$/i;

/** The bar. */
export function SearchBar(): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const now = search.value;
  const field = (name: string) => form.current!.elements.namedItem(name) as HTMLInputElement;
  useKeys([{ key: "/", about: "Search", act: () => field("query").select() }]);
  // The fields follow the address, and nothing else takes away what is being typed.
  useLayoutEffect(() => {
    for (const name of TEXTS) field(name).value = now[name];
    field("errors").checked = now.errors;
  }, [now]);
  const run = () => {
    const values = Object.fromEntries(TEXTS.map((name) => [name, field(name).value.trim()]));
    for (const name of ["min", "max"]) {
      const isWrong = values[name] !== "" && parseDuration(values[name]!) === undefined;
      field(name).setCustomValidity(isWrong ? "A number and a unit, such as 250ms or 1.5s" : "");
    }
    if (!form.current!.reportValidity()) return;
    const [, traceId] = TRACE_ID.exec(values.query!) ?? [];
    if (traceId !== undefined) return go(withParameters(`/traces/${traceId.toLowerCase()}`, {}));
    // The operations of another service are others.
    if (values.service !== now.service && values.operation === now.operation) values.operation = "";
    setSearch({ ...values, errors: field("errors").checked });
  };
  return (
    <search>
      <form
        ref={form}
        class="trace-search"
        autocomplete="off"
        noValidate
        onChange={run}
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        <input name="service" list="services" placeholder="Service" aria-label="Service" />
        <ServiceSuggestions id="services" />
        <input name="operation" list="operations" placeholder="Operation" aria-label="Operation" />
        <OperationSuggestions id="operations" service={now.service} />
        <QueryField service={now.service} />
        <span class="trace-durations">
          <input
            name="min"
            placeholder="min 10ms"
            aria-label="At least this long"
            title="A span that is meant took at least this long: 250ms, 1.5s"
          />
          –
          <input
            name="max"
            placeholder="max 2s"
            aria-label="At most this long"
            title="The whole trace took at most this long"
          />
        </span>
        <label class="trace-errors">
          <input name="errors" type="checkbox" />Errors only
        </label>
        <button type="submit" class="primary">Run</button>
      </form>
    </search>
  );
}
