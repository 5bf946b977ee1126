/** What is searched for: words, a filter, severity and service; and whether it is followed. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { useAnswer } from "../../frame/answer.ts";
import type { ServiceList } from "../../frame/answers.ts";
import { get } from "../../frame/api.ts";
import { Icon } from "../../frame/icons.tsx";
import { useKeys } from "../../frame/keys.ts";
import { parameter, setParameters } from "../../frame/location.ts";
import { rangeKey, rangeParameters } from "../../frame/range.ts";
import { SEVERITIES } from "./log_query.ts";

/** The bar. */
export function LogBar(): JSX.Element {
  const words = useRef<HTMLInputElement>(null);
  const isLive = parameter("live") !== "";
  const range = rangeParameters();
  const services = useAnswer<ServiceList>(
    rangeKey(),
    (signal) => get("/api/services", range, signal),
  );
  const service = parameter("service");
  const names = new Set(services.data.value?.services.map((one) => one.service));
  if (service !== "") names.add(service);
  useKeys([{ key: "/", about: "Search", act: () => words.current!.select() }]);
  const search = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    setParameters({ text: text("text"), filter: text("filter"), log: "", context: "" });
  };
  return (
    <form class="log-bar" role="search" onSubmit={search}>
      <input
        key={`text ${parameter("text")}`}
        ref={words}
        name="text"
        type="search"
        class="grow"
        aria-label="Words in the message"
        placeholder="Words in the message"
        defaultValue={parameter("text")}
      />
      <input
        key={`filter ${parameter("filter")}`}
        name="filter"
        type="search"
        class="grow data"
        aria-label="Filter"
        placeholder="Filter: http.route = /pay"
        title="http.route = /pay and resource.host.name ~ ^web"
        defaultValue={parameter("filter")}
        spellcheck={false}
      />
      <select
        aria-label="Severity"
        value={parameter("minSeverity")}
        onChange={(event) => setParameters({ minSeverity: event.currentTarget.value })}
      >
        <option value="">All severities</option>
        {SEVERITIES.slice(1).map(([name, least]) => (
          <option key={least} value={String(least)}>
            {name === "Fatal" ? name : `${name} and above`}
          </option>
        ))}
      </select>
      <select
        aria-label="Service"
        value={service}
        onChange={(event) => setParameters({ service: event.currentTarget.value })}
      >
        <option value="">All services</option>
        {[...names].map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
      <button type="submit">
        <Icon name="search" />Search
      </button>
      <button
        type="button"
        aria-pressed={isLive}
        onClick={() => setParameters({ live: isLive ? "" : "1", log: "", context: "" })}
      >
        Live
      </button>
    </form>
  );
}
