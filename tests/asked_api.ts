/**
 * The HTTP API over the shop's telemetry: how tests ask it, questions to each of its paths, and whether
 * an answer is as its document says.
 *
 * @module
 */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { followLogs } from "../src/followed_logs.ts";
import { LogTail } from "../src/log_tail.ts";
import type { Database } from "../src/postgres/database.ts";
import { handler } from "../src/server.ts";
import { END, FIRST, LOGS, SPANS } from "./shop_world.ts";
import { fakeStore } from "./asked_handler.ts";

/** Who asks from this machine. */
export const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };
/** All that the shop has done. */
export const RANGE = `since=${FIRST}&until=${END}`;

/** Asks as somebody on this machine would. */
export type Get = (path: string, init?: RequestInit) => Promise<Response>;

/** A handler over a database. */
export function answerTo(
  database: () => Promise<Database>,
  options: { token?: string; queryTimeoutMs?: number } = {},
): ReturnType<typeof handler> {
  return handler({
    store: fakeStore(),
    database,
    // Of what is stored, and then it ends.
    async tailLogs(choice, read) {
      const tail = new LogTail();
      const flush = () => Promise.resolve();
      const events = await followLogs(tail, { flush, open: database }, choice, read);
      tail.close();
      return events;
    },
    ...options,
  });
}

/** Asks such a handler. */
export function apiOf(...to: Parameters<typeof answerTo>): Get {
  const answer = answerTo(...to);
  return (path, init) => answer(new Request(`http://localhost:4318${path}`, init), HERE);
}

/** What is used of the OpenAPI document. */
export interface Document {
  readonly paths: Record<string, {
    get: {
      parameters: { name: string; in: string; required: boolean }[];
      responses: Record<string, { content: Record<string, { schema: object }> }>;
    };
  }>;
  readonly components: { schemas: { Problem: object } };
}

/** Compiles the schemas of the document. */
export const ajv = new Ajv2020({ strict: false, allErrors: true });

/** The document as it is served. */
export async function documentOf(get: Get): Promise<Document> {
  const response = await get("/api/openapi.json");
  assert.equal(response.status, 200);
  return await response.json();
}

/** Asserts that a value is as its schema says. */
export function valid(validate: ValidateFunction, value: unknown, what: string): void {
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}`);
}

/** Checks an answer. */
export type Check = (text: string, what: string) => void;

/** Holds the text of an answer to a schema. */
export function validJson(validate: ValidateFunction): Check {
  return (text, what) => valid(validate, JSON.parse(text), what);
}

/** The same of a stream of events: each one, and its data. */
export function validEvents(schema: object): Check {
  const { oneOf } = schema as { oneOf: { properties: { data: { contentSchema: object } } }[] };
  const kinds = oneOf.map((one) => ({
    event: ajv.compile(one),
    data: ajv.compile(one.properties.data.contentSchema),
  }));
  return (text, what) => {
    for (const block of text.split("\n\n").filter((block) => !/^(:|$)/.test(block))) {
      const fields = block.split("\n").map((line) => /^(\w+): (.*)$/.exec(line)!.slice(1));
      const event = { event: "message", ...Object.fromEntries(fields) };
      const kind = kinds.find(({ event: validate }) => validate(event));
      assert.ok(kind !== undefined, `${what}: ${block}`);
      valid(kind.data, JSON.parse(event.data), what);
    }
  };
}

/** A trace that has logs. */
export const traceId = LOGS.find(({ record }) => record.traceId !== "")!.record.traceId;
/** Questions that have answers, by path. */
export const QUESTIONS: Record<string, string[]> = {
  // Seen when their records arrived.
  "/api/services": ["/api/services?since=0&until=2100-01-01T00:00:00Z"],
  "/api/operations": [`/api/operations?service=shop&${RANGE}`],
  "/api/attributes": [
    `/api/attributes?${RANGE}`,
    `/api/attributes?${RANGE}&service=shop&signal=logs`,
  ],
  "/api/requests": [
    `/api/requests?${RANGE}`,
    `/api/requests?${RANGE}&by=operation&overTime=true&stepMs=86400000&order=slowest`,
  ],
  "/api/service-graph": [`/api/service-graph?${RANGE}`],
  "/api/errors": [`/api/errors?${RANGE}`],
  "/api/traces": [
    `/api/traces?${RANGE}`,
    `/api/traces?${RANGE}&kind=SERVER&minDurationNs=1000000&order=slowest&filter=${
      encodeURIComponent("http.route = /a")
    }`,
  ],
  "/api/traces/{traceId}": [`/api/traces/${traceId}`, `/api/traces/${traceId}?format=otlp`],
  "/api/similar-traces": [`/api/similar-traces?traceId=${traceId}&${RANGE}`],
  "/api/compared-traces": [
    `/api/compared-traces?before=${traceId}&after=${SPANS.at(-1)!.record.traceId}`,
  ],
  "/api/logs": [`/api/logs?${RANGE}&text=timeout`, `/api/logs?traceId=${traceId}`],
  "/api/log-counts": [`/api/log-counts?${RANGE}`],
  "/api/metrics": [`/api/metrics?${RANGE}`],
  "/api/metrics/{metric}": [
    `/api/metrics/latency?${RANGE}&stepMs=3600000&function=max&groupBy=service&groupBy=resource.a`,
  ],
  "/api/partitions": ["/api/partitions", "/api/partitions?signal=logs&limit=1"],
  "/api/metric-buckets": [`/api/metric-buckets?metric=size&${RANGE}&stepMs=3600000`],
  "/api/exemplars": [`/api/exemplars?metric=latency&${RANGE}`],
};
/** The path that answers with events. */
export const TAIL = "/api/logs/tail";
const TAILED: Record<string, string[]> = { [TAIL]: [`${TAIL}?since=${FIRST}&text=timeout`] };
/** Questions to all paths. */
export const ASKED = { ...QUESTIONS, ...TAILED };
