import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import type { DestinationStats } from "../src/adapter.ts";
import { encodeRequest, requestToJson } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { handler, RequestBodies } from "../src/server.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";

const BODIES = 100_000;
const AT_ONCE = 100;
const SEED = 20_260_101;

/** Numbers that look random and are the same in every run. */
function mulberry32(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

interface Sent {
  readonly signal: Signal;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

const PROTOBUF = { "content-type": "application/x-protobuf" };
const JSON_TYPE = { "content-type": "application/json" };
const GZIP = { "content-encoding": "gzip" };

/** Valid requests, in every form they come in; those that say so are still to be compressed. */
function corpus(): Sent[] {
  const of = <S extends Signal>(signal: S) =>
    fc.sample(arbitraryRequest(signal), { seed: SEED, numRuns: 20 }).flatMap((request): Sent[] => {
      const protobuf = encodeRequest(signal, request);
      const json = new TextEncoder().encode(requestToJson(signal, request));
      return [
        { signal, headers: PROTOBUF, body: protobuf },
        { signal, headers: JSON_TYPE, body: json },
        { signal, headers: { ...PROTOBUF, ...GZIP }, body: protobuf },
      ];
    });
  return [...of("traces"), ...of("logs"), ...of("metrics")];
}

/** Damages a body as networks, bugs and attackers do. */
function mutate(body: Uint8Array, other: Uint8Array, random: () => number): Uint8Array {
  let bytes = Array.from(body);
  const at = () => Math.floor(random() * (bytes.length + 1));
  // Mostly a little: what is valid after all goes the longer way.
  for (let times = 1 + Math.floor(random() ** 4 * 4); times > 0; times--) {
    const [from, to] = [at(), at()].sort((a, b) => a - b) as [number, number];
    switch (Math.floor(random() ** 2 * 7)) {
      case 0: // a bit flips
        if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)]! ^= 1 << (random() * 8);
        break;
      case 1: // a byte becomes any other
        if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)] = random() * 256;
        break;
      case 2: // the end is missing
        bytes = bytes.slice(0, from);
        break;
      case 3: // a piece is missing
        bytes.splice(from, to - from);
        break;
      case 4: // a piece comes twice
        bytes.splice(from, 0, ...bytes.slice(from, to));
        break;
      case 5: // a piece of another one comes in between
        bytes.splice(
          from,
          0,
          ...other.slice(to % (other.length + 1), to % (other.length + 1) + 50),
        );
        break;
      default: // extremes
        bytes.splice(
          from,
          0,
          ...[[0xff, 0xff, 0xff, 0xff, 0x0f], [0, 0], [0x80], [0x22, 0x5c]][
            Math.floor(random() * 4)
          ]!,
        );
    }
  }
  return Uint8Array.from(bytes);
}

function noise(random: () => number): Uint8Array {
  return Uint8Array.from({ length: Math.floor(random() ** 3 * 2000) }, () => random() * 256);
}

Deno.test(`${BODIES} random and damaged bodies each get an answer, and the store goes on`, async () => {
  await using store = await openStore(drivers[0]!);
  const { adapter } = store;
  const errors: unknown[] = [];
  const bodies = new RequestBodies();
  const answer = handler({ store: adapter, bodies, onError: (error) => errors.push(error) });
  const random = mulberry32(SEED);
  const valid = corpus();
  const pick = () => valid[Math.floor(random() * valid.length)]!;
  const statuses = new Map<number, number>();

  const send = async (sent: Sent, damage = (packed: Uint8Array) => packed) => {
    const { signal, headers } = sent;
    const body = "content-encoding" in headers
      ? damage(new Uint8Array(gzipSync(sent.body, { level: 1 })))
      : sent.body;
    const url = `http://localhost/v1/${signal}`;
    const response = await answer(
      new Request(url, { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> }),
    );
    await response.bytes();
    return response.status;
  };
  for (let sent = 0; sent < BODIES; sent += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, () => {
      const base = pick();
      const body = random() < 0.2 ? noise(random) : mutate(base.body, pick().body, random);
      const damage = (packed: Uint8Array) => {
        return random() < 0.2 ? mutate(packed, pick().body, random) : packed;
      };
      return send({ ...base, body }, damage);
    });
    for (const status of await Promise.all(batch)) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }

  assert.deepEqual(errors, []);
  assert.deepEqual([...statuses.keys()].sort(), [200, 400]);
  // Damage that leaves nothing valid, or nothing invalid, would test little.
  for (const [status, count] of statuses) assert.ok(count > BODIES / 20, `${status}: ${count}`);
  assert.equal(bodies.heldBytes, 0);
  for (const request of valid) assert.equal(await send(request), 200);
  const [{ delivered, dead }] = (await adapter.stats()).destinations as [DestinationStats];
  const stored = delivered.traces + delivered.logs + delivered.metrics;
  const database = await adapter.database();
  const [row] = await database.query<{ n: bigint }>(
    `select (select count(*) from otel.spans) + (select count(*) from otel.logs)
       + (select count(*) from otel.metric_points) as n`,
  );
  assert.equal(row?.n, BigInt(stored));
  assert.deepEqual(dead, { traces: 0, logs: 0, metrics: 0 });
});
