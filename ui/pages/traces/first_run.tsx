/** Nothing has arrived yet: how to send something. Looks for it until it is there. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Copy } from "../../frame/copy.tsx";
import { snippets } from "./snippets.ts";

const LOOK_MS = 1_000;

/** The first sight of the page; `look` asks whether there is something now. */
export function FirstRun(
  { received, look }: {
    /** Whether something has arrived, though no span that could be shown. */
    readonly received: boolean;
    readonly look: () => void;
  },
): JSX.Element {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const timer = setInterval(() => latest.current(), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="empty first-run">
      <h1>{received ? "No span has arrived yet" : "Nothing has arrived yet"}</h1>
      <p>
        The collector listens for OTLP over HTTP at{" "}
        <code>{location.origin}</code>. Send it a first span; it is shown here as soon as it
        arrives.
      </p>
      {snippets(location.origin).map(({ name, about, text }) => (
        <section key={name} aria-label={name}>
          <header>
            <h2>{name}</h2>
            <span class="muted grow">{about}</span>
            <Copy text={text} label="Copy" />
          </header>
          <pre tabIndex={0}>{text}</pre>
        </section>
      ))}
      <p class="muted">
        A collector with a token wants it from them as well: in{" "}
        <code>OTEL_EXPORTER_OTLP_HEADERS</code> as{" "}
        <code>authorization=Bearer%20TOKEN</code>, for curl in a header.
      </p>
      <p role="status">Waiting for the first span…</p>
    </div>
  );
}
