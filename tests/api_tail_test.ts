/** The events of the tail over HTTP: as the OpenAPI document says, and heartbeats between them. */

import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import type { ConnectionInfo } from "../src/request_guard.ts";
import { HEARTBEAT_MS, LOG_TAIL_PATH, type TailEvent, tailRoute } from "../src/api_tail.ts";
import { openApiDocument } from "../src/openapi.ts";
import { encodeRequest } from "../src/otlp.ts";
import { handler } from "../src/server.ts";
import { attribute, log, logs, resource } from "./one_record.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";
import { type ReadEvent, readEvents } from "./tail_events.ts";

const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };
const HOUR_MS = 3_600_000;

interface EventSchema {
  readonly properties: { readonly data: { readonly contentSchema: object } };
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
const document = openApiDocument() as {
  paths: Record<string, { get: { responses: Record<string, { content: object }> } }>;
};
const { content } = document.paths[LOG_TAIL_PATH]!.get.responses[200]!;
const { schema } = (content as Record<string, { schema: { oneOf: EventSchema[] } }>)[
  "text/event-stream"
]!;
const kinds = schema.oneOf.map((one) => ({
  fields: ajv.compile(one),
  data: ajv.compile(one.properties.data.contentSchema),
}));

/** Asserts that an event is one of those that the document describes, and that its data is too. */
function assertDescribed({ event, id, data }: ReadEvent): void {
  const fields = { event, data, ...id !== undefined && { id } };
  const fitting = kinds.filter((kind) => kind.fields(fields));
  assert.equal(fitting.length, 1, JSON.stringify(fields));
  const { data: validate } = fitting[0]!;
  assert.ok(validate(JSON.parse(data)), `${data}: ${ajv.errorsText(validate.errors)}`);
}

for (const driver of drivers) {
  Deno.test(`each event of a tail is as the OpenAPI document says: ${driver}`, async () => {
    await using store = await openStore(driver);
    const { adapter } = store;
    const answer = handler({
      store: adapter,
      database: (options) => adapter.database(options),
      tailLogs: (choice, options) => adapter.tailLogs(choice, options),
    });
    const get = (query: string) =>
      answer(new Request(`http://localhost${LOG_TAIL_PATH}${query}`), HERE as ConnectionInfo);
    const plain = log({ timeUnixNano: BigInt(Date.now()) * 1_000_000n });
    const odd = log({
      severityNumber: -7,
      flags: 2 ** 32 - 1,
      body: {
        kvlistValue: {
          values: [
            { key: "n", value: { doubleValue: NaN } },
            { key: "b", value: { bytesValue: Uint8Array.of(0, 255) } },
            { key: "none" },
          ],
        },
      },
      attributes: [
        { key: "none" },
        { key: "i", value: { intValue: -(2n ** 63n) } },
        { key: "d", value: { doubleValue: -Infinity } },
        { key: "a", value: { arrayValue: { values: [{ boolValue: true }, {}] } } },
        attribute("t", 'a\nb\r\ndata: {"count":1}\n\n\u2028\0'),
      ],
      droppedAttributesCount: 3,
      traceId: "5b8efff798038103d269b633813fc60c",
      spanId: "eee19b7ec3c1b174",
      eventName: "odd\n\nevent: dropped",
    });
    const deaf = await get("");
    const own = encodeRequest("logs", logs([odd, plain], { resource: resource([]) }));
    await adapter.write("logs", own);
    const many = encodeRequest("logs", logs(Array.from({ length: 1_200 }, () => plain)));
    await adapter.write("logs", many);
    await adapter.flush();
    while ((await adapter.stats()).tail.dropped < 202) await new Promise((go) => setTimeout(go, 5));
    const late = await readEvents(deaf, 900);
    const stored = await readEvents(await get("?since=0&filter=d+exists"), 1);
    const cut = await readEvents(await get("?since=0"), 10);
    assert.equal(late[0]!.event, "dropped");
    assert.deepEqual(cut[0], { id: undefined, event: "dropped", data: '{"count":null}' });
    assert.equal(JSON.parse(stored[0]!.data).record.severityNumber, -7);
    for (const event of [...late, ...stored, ...cut]) assertDescribed(event);
    assert.throws(() => assertDescribed({ id: "1-1", event: "dropped", data: '{"count":1}' }));
    assert.throws(() => assertDescribed({ id: undefined, event: "dropped", data: '{"count":-1}' }));
    assert.throws(() => assertDescribed({ ...stored[0]!, data: '{"record":{}}' }));
  });
}

/** A tail that gives what is pushed, over HTTP with its own heartbeat. */
async function tailing(heartbeatMs?: number) {
  const given: PromiseWithResolvers<IteratorResult<readonly TailEvent[], undefined>>[] = [];
  let asked = 0;
  const at = (n: number) => given[n] ??= Promise.withResolvers();
  const events: AsyncIterator<readonly TailEvent[], undefined> = {
    next: () => at(asked++).promise,
  };
  const aborted = Promise.withResolvers<void>();
  const open: Parameters<typeof tailRoute>[0] = (_, { signal }) => {
    signal.addEventListener("abort", () => aborted.resolve());
    return Promise.resolve(events);
  };
  const [, route] = tailRoute(open, 1_000, heartbeatMs);
  const response = await route.answer(new Request(`http://localhost${LOG_TAIL_PATH}`));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  return {
    push: (n: number, events: TailEvent[]) => at(n).resolve({ done: false, value: events }),
    end: (n: number) => at(n).resolve({ done: true, value: undefined }),
    read: async () => (await reader.read()).value,
    leave: () => reader.cancel(),
    aborted: aborted.promise,
    asked: () => asked,
  };
}

const DROPPED = (count: number): TailEvent => ({ kind: "dropped", count });
const TEXT = (count: number) => `event: dropped\ndata: {"count":${count}}\n\n`;

Deno.test("while nothing comes there are heartbeats, and what comes then is not lost", async () => {
  const tail = await tailing(1);
  for (let n = 0; n < 5; n++) assert.equal(await tail.read(), ":\n\n");
  // However many heartbeats, it was asked once.
  assert.equal(tail.asked(), 1);
  tail.push(0, [DROPPED(1), DROPPED(2)]);
  const seen: string[] = [];
  while (seen.length === 0) {
    const text = await tail.read();
    if (text !== ":\n\n") seen.push(text!);
  }
  assert.deepEqual(seen, [TEXT(1) + TEXT(2)]);
  assert.equal(await tail.read(), ":\n\n");
  tail.end(1);
  let last = await tail.read();
  while (last === ":\n\n") last = await tail.read();
  assert.equal(last, undefined);
});

Deno.test("one heartbeat tells at once that one follows; where something comes there are no others", async () => {
  const tail = await tailing(HOUR_MS);
  for (let n = 0; n < 100; n++) tail.push(n, [DROPPED(n)]);
  assert.equal(await tail.read(), ":\n\n");
  for (let n = 0; n < 100; n++) assert.equal(await tail.read(), TEXT(n));
  await tail.leave();
  await tail.aborted;
});

Deno.test("a heartbeat comes every 15 s", async () => {
  const { setTimeout } = globalThis;
  const waits: (number | undefined)[] = [];
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    waits.push(ms);
    return setTimeout(run, 0);
  }) as typeof setTimeout;
  try {
    const tail = await tailing();
    for (let n = 0; n < 4; n++) assert.equal(await tail.read(), ":\n\n");
    await tail.leave();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.equal(HEARTBEAT_MS, 15_000);
  assert.ok(waits.length >= 3);
  assert.ok(waits.every((ms) => ms === HEARTBEAT_MS), waits.join());
});
