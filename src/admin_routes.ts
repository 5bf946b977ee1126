/**
 * The paths that the subcommands of the collector and Prometheus ask: for this machine, or for who
 * has the token.
 *
 * | path | answers |
 * | --- | --- |
 * | `POST /api/query` | the rows of one query that reads, a JSON object a line |
 * | `POST /api/maintain` | what the upkeep of partitions did |
 * | `GET /api/stats` | numbers about everything, as JSON |
 * | `GET /metrics` | the same for Prometheus |
 * | `POST /api/dead-letters` | what a command for dead letters gives |
 * | `POST /api/replay` | lines of JSON while stored telemetry is sent somewhere; the last is the result |
 *
 * They say what went wrong: who may ask here may read everything.
 *
 * @module
 */

import { z } from "zod";
import type { Admin, DeadLetterOps, Replay, ReplayRequest } from "./admin.ts";
import {
  type DeadLetterAsk,
  letterJson,
  lettersJson,
  parseDeadLetterAsk,
  parseReplayRequest,
} from "./admin_json.ts";
import { DamagedLetterError } from "./dead_letters.ts";
import { FilterError, parseFilter } from "./filter.ts";
import { replayStream } from "./replay_stream.ts";
import { RequestBodies } from "./request_body.ts";
import { RequestError } from "./request_error.ts";
import { compressionOf } from "./request_headers.ts";
import { classify } from "./retry.ts";
import type { Route } from "./route.ts";

/** The longest command, in bytes. */
const COMMAND_BYTES = 1024 * 1024;
const NDJSON = "application/x-ndjson";
const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

/** The paths and how they are answered; those that the admin can do. */
export function* adminRoutes(admin: Admin): Generator<[string, Route]> {
  const bodies = new RequestBodies({ bodyBytes: COMMAND_BYTES });
  const ask = (path: string, answer: () => Promise<Response>): [string, Route] => [
    path,
    { methods: ["GET"], audience: "machine", answer: (request) => telling(request, answer) },
  ];
  const command = <T>(
    path: string,
    parse: (body: Uint8Array) => T,
    act: (command: T, signal: AbortSignal) => Promise<Response>,
  ): [string, Route] => [path, {
    methods: ["POST"],
    audience: "machine",
    answer: async (request) => {
      const asked = await bodies.receive(
        request,
        compressionOf(request),
        (body) => Promise.resolve(parse(body)),
      );
      return await telling(request, () => act(asked, request.signal));
    },
  }];
  yield command("/api/query", sqlOf, (sql, signal) => query(admin, sql, signal));
  yield command(
    "/api/maintain",
    () => undefined,
    async (_, signal) => Response.json(await admin.maintain({ signal })),
  );
  const { deadLetters, replay } = admin;
  if (admin.stats) yield ask("/api/stats", async () => Response.json(await admin.stats!()));
  if (admin.metrics) yield ask("/metrics", async () => text(await admin.metrics!(), PROMETHEUS));
  if (deadLetters) {
    yield command(
      "/api/dead-letters",
      deadLetterAskOf,
      (asked, signal) => askDeadLetters(deadLetters, asked, signal),
    );
  }
  if (replay) {
    yield command(
      "/api/replay",
      replayRequestOf,
      (asked, signal) => Promise.resolve(startReplay(replay, asked, signal)),
    );
  }
}

async function query(admin: Admin, sql: string, signal: AbortSignal): Promise<Response> {
  const { lines, truncated } = await admin.query(sql, { signal });
  const response = text(lines.map((line) => `${line}\n`).join(""), NDJSON);
  response.headers.set("otel-storage-truncated", String(truncated));
  return response;
}

async function askDeadLetters(
  letters: DeadLetterOps,
  asked: DeadLetterAsk,
  signal: AbortSignal,
): Promise<Response> {
  switch (asked.action) {
    case "list":
      return Response.json(lettersJson(await letters.list(asked.filter)));
    case "read":
      return Response.json(letterJson(await letters.read(asked.name)));
    case "replay":
      return Response.json(await letters.replay(asked.name, { signal }));
    case "drop":
      return Response.json({ dropped: await letters.drop(asked.name) });
  }
}

function startReplay(replay: Replay, asked: ReplayRequest, signal: AbortSignal): Response {
  const stream = replayStream((calls) => replay(asked, calls), signal);
  return new Response(stream, { headers: { "content-type": NDJSON } });
}

/** Answers with what went wrong, whatever it is. */
async function telling(request: Request, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof RequestError || request.signal.aborted) throw error;
    throw new RequestError(
      statusOf(error),
      error instanceof Error ? error.message : String(error),
      { cause: error },
    );
  }
}

function statusOf(error: unknown): number {
  if (error instanceof RangeError) return 404;
  if (error instanceof DamagedLetterError) return 422;
  return classify(error).kind === "permanent" ? 500 : 503;
}

function sqlOf(body: Uint8Array): string {
  const schema = z.strictObject({ sql: z.string().min(1) });
  return parsed("the query", '{"sql": "select …"}', () => schema.parse(jsonOf(body)).sql);
}

function deadLetterAskOf(body: Uint8Array): DeadLetterAsk {
  const shape = '{"action": "list", "filter": {}} or {"action": "read|replay|drop", "name": "…"}';
  return parsed("the command", shape, () => parseDeadLetterAsk(jsonOf(body)));
}

function replayRequestOf(body: Uint8Array): ReplayRequest {
  const shape = '{"to": "https://…", "headers": {}, "signals": ["traces"], "filter": ""}';
  const request = parsed("the command", shape, () => parseReplayRequest(jsonOf(body)));
  try {
    parseFilter(request.filter);
  } catch (error) {
    if (error instanceof FilterError) throw new RequestError(400, error.message, { cause: error });
    throw error;
  }
  return request;
}

function jsonOf(body: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(body));
}

function parsed<T>(what: string, shape: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new RequestError(400, `Cannot read ${what}: send ${shape}`, { cause });
  }
}

function text(body: string, type: string): Response {
  return new Response(body, { headers: { "content-type": type } });
}
