/** How to send a first span. */

/** A way to do it. */
export interface Snippet {
  readonly name: string;
  readonly about: string;
  /** For a shell. */
  readonly text: string;
}

/**
 * Ways to do it.
 *
 * @param origin Where the collector is: `http://127.0.0.1:4318`.
 */
export function snippets(origin: string): readonly Snippet[] {
  const environment = (name: string) =>
    `OTEL_SERVICE_NAME=${name} OTEL_EXPORTER_OTLP_ENDPOINT=${origin} \\\n` +
    "  OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
  return [
    {
      name: "curl",
      about: "One span, by hand.",
      text: `curl ${origin}/v1/traces -H 'content-type: application/json' -d '{"resourceSpans":[{
  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello-curl"}}]},
  "scopeSpans":[{"spans":[{"name":"hello","kind":1,
    "traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'",
    "startTimeUnixNano":"'$(date +%s)'000000000","endTimeUnixNano":"'$(date +%s)'250000000"}]}]}]}'`,
    },
    {
      name: "Deno",
      about: "Deno sends spans of its own: of each request it serves and makes.",
      text: `OTEL_DENO=true ${environment("hello-deno")} \\
  deno eval "await (await fetch('${origin}/healthz')).text()"`,
    },
    {
      name: "Node",
      about: "The SDK's packages watch your app.js without a change to it.",
      text: `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node
${environment("hello-node")} \\
  node --require @opentelemetry/auto-instrumentations-node/register app.js`,
    },
  ];
}
