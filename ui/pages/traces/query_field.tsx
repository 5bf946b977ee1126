/** The field of the query, which completes names of fields and attributes. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { AttributeList } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { rangeKey, rangeParameters } from "../../frame/range.ts";
import { attributeName, quoted } from "../../frame/value.ts";
import { matching, nameAt } from "./name_completion.ts";

const FIELDS = ["service", "operation", "kind", "status", "duration", "text"];
const LIST = "query-names";

/** The field; what it offers are attributes of the service. */
export function QueryField({ service }: { readonly service: string }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const isEntered = useSignal(false);
  const names = useNames(service, isEntered.value);
  const offered = useSignal<readonly string[]>([]);
  const at = useSignal(-1);
  const offer = (list: readonly string[]) => {
    offered.value = list;
    at.value = -1;
  };
  const look = (isAsked: boolean) => {
    const { value, selectionStart } = field.current!;
    const name = nameAt(value, selectionStart ?? value.length);
    const found = name === undefined || (name.text === "" && !isAsked)
      ? []
      : matching(names, name.text);
    // What is typed in full needs no completion.
    offer(found.length === 1 && found[0] === name?.text ? [] : found);
  };
  useEffect(() => {
    if (document.activeElement === field.current) look(false);
  }, [names]);
  const take = (name: string) => {
    const input = field.current!;
    const cursor = input.selectionStart ?? input.value.length;
    const typed = nameAt(input.value, cursor);
    if (typed !== undefined) input.setRangeText(`${name} `, typed.from, cursor, "end");
    offer([]);
    input.focus();
  };
  const press = (event: KeyboardEvent) => {
    const list = offered.value;
    if (event.key === "ArrowDown" && list.length === 0) look(true);
    else if (list.length === 0) return;
    else if (event.key === "ArrowDown") at.value = (at.value + 1) % list.length;
    else if (event.key === "ArrowUp") at.value = (Math.max(at.value, 0) || list.length) - 1;
    else if (event.key === "Escape") offer([]);
    else if (event.key === "Enter" && at.value >= 0) take(list[at.value]!);
    else if (event.key === "Tab" && at.value >= 0 && !event.shiftKey) take(list[at.value]!);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <span class="query-field">
      <input
        ref={field}
        name="query"
        class="data"
        role="combobox"
        aria-label="Query"
        aria-autocomplete="list"
        aria-expanded={offered.value.length > 0}
        aria-controls={LIST}
        aria-activedescendant={at.value >= 0 ? `${LIST}-${at.value}` : undefined}
        placeholder='http.route ~ "^/api" and duration > 250ms'
        title="Fields: service operation kind status duration text; any other name is an attribute. Operators: = != < <= > >= ~ !~ has exists, and or not ( ). The id of a trace opens it"
        maxLength={10_000}
        spellcheck={false}
        onFocus={() => isEntered.value = true}
        onInput={() => look(false)}
        onKeyDown={press}
        onBlur={() => offer([])}
      />
      <ul id={LIST} role="listbox" aria-label="Names" hidden={offered.value.length === 0}>
        {offered.value.map((name, index) => (
          <li
            key={name}
            id={`${LIST}-${index}`}
            role="option"
            aria-selected={index === at.value}
            class="data"
            // The field keeps the focus.
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => take(name)}
          >
            {name}
          </li>
        ))}
      </ul>
    </span>
  );
}

/** Names of fields, then of attributes as filters write them: these once somebody wants them. */
function useNames(service: string, isWanted: boolean): readonly string[] {
  const answer = useAnswer(
    isWanted ? `${service}\0${rangeKey()}` : undefined,
    (signal) => get<AttributeList>("/api/attributes", { ...rangeParameters(), service }, signal),
  );
  const attributes = answer.data.value?.attributes;
  return useMemo(
    () => [...FIELDS, ...(attributes ?? []).map(({ of, key }) => quoted(attributeName(of, key)))],
    [attributes],
  );
}
