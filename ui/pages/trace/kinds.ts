/** Kinds of spans, by their numbers in OTLP. */
export const KINDS: readonly string[] = [
  "unspecified",
  "internal",
  "server",
  "client",
  "producer",
  "consumer",
];
