import assert from "node:assert/strict";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { RequestBodies } from "../src/request_body.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

interface Sending {
  /** Sent as Content-Length when given. */
  readonly declared?: number;
  readonly signal?: AbortSignal;
}

function post(
  body: Uint8Array | string | ReadableStream<Uint8Array> | null,
  sending: Sending = {},
): Request {
  const headers = new Headers();
  if (sending.declared !== undefined) headers.set("content-length", String(sending.declared));
  return new Request("http://localhost/v1/traces", {
    method: "POST",
    body: body as BodyInit,
    headers,
    signal: sending.signal ?? null,
  });
}

/** A sender whose bytes the test hands out by itself. */
function sender(): {
  readonly body: ReadableStream<Uint8Array>;
  readonly send: (bytes: number) => void;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
  /** Resolves when its reader has gone. */
  readonly cancelled: Promise<void>;
} {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const cancelled = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
    cancel: () => cancelled.resolve(),
  });
  return {
    body,
    send: (bytes) => controller.enqueue(new Uint8Array(bytes)),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
    cancelled: cancelled.promise,
  };
}

const lengthOf = (body: Uint8Array) => Promise.resolve(body.length);

/** Waits for a condition that others bring about. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("a body arrives whole, declared or not, in one chunk or in many", async () => {
  const bodies = new RequestBodies();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const same = (body: Uint8Array) => Promise.resolve(assert.deepEqual(body, bytes));
  await bodies.receive(post(bytes), "identity", same);
  await bodies.receive(post(bytes, { declared: bytes.length }), "identity", same);
  const single = ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at++) yield bytes.slice(at, at + 1);
  })());
  await bodies.receive(post(single), "identity", same);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("chunks of a body from a socket are given back once copied, those of others are left alone", async () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, n) => n % 251);
  const same = (body: Uint8Array) => Promise.resolve(assert.deepEqual(body, bytes));
  for (const fromSocket of [true, false]) {
    for (const declared of [undefined, bytes.length]) {
      const chunks = [bytes.slice(0, 1), bytes.slice(1, 65_537), bytes.slice(65_537)];
      const body = ReadableStream.from(chunks);
      const request = post(body, declared === undefined ? {} : { declared });
      await new RequestBodies({ fromSocket }).receive(request, "identity", same);
      const left = chunks.map(({ byteLength }) => byteLength);
      assert.deepEqual(left, fromSocket ? [0, 0, 0] : [1, 65_536, 134_463]);
    }
  }
});

Deno.test("a declared body from a socket ends with its last byte", async () => {
  const bodies = new RequestBodies({ fromSocket: true });
  const open = sender();
  open.send(10);
  const body = bodies.receive(post(open.body, { declared: 10 }), "identity", lengthOf);
  assert.equal(await body, 10);
  await open.cancelled;
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a body without bytes is an empty one", async () => {
  const bodies = new RequestBodies();
  assert.equal(await bodies.receive(post(null), "identity", lengthOf), 0);
  assert.equal(await bodies.receive(post(null, { declared: 0 }), "identity", lengthOf), 0);
});

Deno.test("a body over the limit is refused by its declared length, unread", async () => {
  const bodies = new RequestBodies({ bodyBytes: MiB });
  const { body } = sender();
  const request = post(body, { declared: MiB + 1 });
  await assert.rejects(bodies.receive(request, "identity", lengthOf), {
    status: 413,
    message: "Cannot read the body: it is larger than 1048576 bytes; send smaller batches",
  });
  assert.equal(request.bodyUsed, false);
  assert.equal(bodies.heldHighWater, 0);
});

Deno.test("a body over the limit is refused while it arrives when it declared nothing", async () => {
  const bodies = new RequestBodies({ bodyBytes: MiB });
  const endless = sender();
  const answer = bodies.receive(post(endless.body), "identity", lengthOf);
  endless.send(MiB);
  endless.send(1);
  await assert.rejects(answer, { status: 413 });
  await endless.cancelled;
  assert.equal(bodies.heldBytes, 0);
  assert.ok(bodies.heldHighWater <= MiB + 64 * KiB, `${bodies.heldHighWater}`);
});

Deno.test("a body of exactly the limit is taken", async () => {
  const bodies = new RequestBodies({ bodyBytes: MiB });
  const bytes = new Uint8Array(MiB);
  assert.equal(await bodies.receive(post(bytes), "identity", lengthOf), MiB);
  assert.equal(await bodies.receive(post(bytes, { declared: MiB }), "identity", lengthOf), MiB);
});

Deno.test("a body that is longer or shorter than declared is refused", async () => {
  const bodies = new RequestBodies();
  for (const declared of [3, 5]) {
    await assert.rejects(bodies.receive(post("four", { declared }), "identity", lengthOf), {
      status: 400,
      message:
        `Cannot read the body: its length is not the ${declared} bytes of its Content-Length`,
    });
  }
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a Content-Length that is no number is refused", async () => {
  const bodies = new RequestBodies();
  const request = post("four");
  request.headers.set("content-length", "-4");
  await assert.rejects(bodies.receive(request, "identity", lengthOf), {
    status: 400,
    message: "Cannot read the body: its Content-Length is no number",
  });
});

Deno.test("a body that does not arrive in time gets 408 and gives its memory back", async () => {
  const bodies = new RequestBodies({ readTimeoutMs: 5 });
  const slow = sender();
  slow.send(10);
  await assert.rejects(
    bodies.receive(post(slow.body, { declared: MiB }), "identity", lengthOf),
    { status: 408, message: "Cannot read the body: it did not arrive within 5 ms" },
  );
  await slow.cancelled;
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a body that finds no memory in time gets 503, unread", async () => {
  const bodies = new RequestBodies({ bodyBytes: 3 * MiB, readingBytes: 4 * MiB, waitTimeoutMs: 5 });
  const slow = sender();
  const first = bodies.receive(post(slow.body, { declared: 2 * MiB }), "identity", lengthOf);
  const second = sender();
  const request = post(second.body, { declared: 2 * MiB });
  await assert.rejects(bodies.receive(request, "identity", lengthOf), {
    status: 503,
    retryAfterMs: 1000,
    message: `Cannot read the body: 1 requests wait for memory, ${2 * MiB} bytes are held; ` +
      "send again later",
  });
  assert.equal(request.bodyUsed, false);
  slow.send(2 * MiB);
  slow.end();
  assert.equal(await first, 2 * MiB);
});

Deno.test("a client that goes away ends the wait for its body, for memory and for its turn", async () => {
  const bodies = new RequestBodies({ bodyBytes: 3 * MiB, readingBytes: 4 * MiB });
  const gone = new Error("gone");
  const reading = new AbortController();
  const slow = sender();
  const first = bodies.receive(
    post(slow.body, { declared: 2 * MiB, signal: reading.signal }),
    "identity",
    lengthOf,
  );
  const waiting = new AbortController();
  const second = bodies.receive(
    post(sender().body, { declared: 2 * MiB, signal: waiting.signal }),
    "identity",
    lengthOf,
  );
  await until(() => bodies.waiting === 1);
  waiting.abort(gone);
  await assert.rejects(second, gone);
  assert.equal(bodies.waiting, 0);
  reading.abort(gone);
  await assert.rejects(first, gone);
  await slow.cancelled;
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a connection that breaks in the middle of a body is no crash", async () => {
  const bodies = new RequestBodies();
  const broken = sender();
  const answer = bodies.receive(post(broken.body), "identity", lengthOf);
  broken.send(10);
  broken.fail(new Error("connection reset"));
  await assert.rejects(answer, { status: 400, message: "Cannot read the body: it ended early" });
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("memory is held until the delivery is done, and given back when it fails", async () => {
  const bodies = new RequestBodies();
  const delivery = Promise.withResolvers<number>();
  const first = bodies.receive(post("four", { declared: 4 }), "identity", () => delivery.promise);
  const packed = gzipSync(new Uint8Array(100 * KiB));
  const second = bodies.receive(
    post(packed, { declared: packed.length }),
    "gzip",
    () => delivery.promise,
  );
  // 64 KiB at first, doubled once.
  await until(() => bodies.heldBytes === 4 + packed.length + 128 * KiB);
  const error = new Error("not stored");
  delivery.reject(error);
  await assert.rejects(first, error);
  await assert.rejects(second, error);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("memory that is lent is nobody else's until the delivery has settled, and then used again", async () => {
  const bodies = new RequestBodies({ lend: true });
  const buffers = new Set<ArrayBufferLike>();
  /** Delivers a body, and looks at it until `end` is called. */
  const deliver = async (value: number, length: number) => {
    const taken = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const sent = new Uint8Array(length).fill(value);
    const done = bodies.receive(post(sent, { declared: length }), "identity", async (body) => {
      buffers.add(body.buffer);
      taken.resolve();
      await end.promise;
      assert.deepEqual(body, sent);
      if (value % 3 === 0) throw new Error("not stored");
    });
    await taken.promise;
    return async () => {
      end.resolve();
      await done.catch(({ message }) => assert.equal(message, "not stored"));
    };
  };
  const held: (() => Promise<void>)[] = [];
  for (let n = 1; n < 100; n++) {
    held.push(await deliver(n, 1_000 * (n % 7) + 1));
    // Some end early, some late.
    if (n % 2 === 0) await held.splice(n % held.length, 1)[0]!();
    if (held.length > 5) await held.shift()!();
  }
  for (const end of held) await end();
  assert.ok(buffers.size < 15, `${buffers.size} buffers`);
});

Deno.test("200 slow senders of 4 MiB hold no more than the budget, and all of them arrive", async () => {
  const bodies = new RequestBodies();
  const senders = Array.from({ length: 200 }, sender);
  const answers = senders.map(({ body }) =>
    bodies.receive(post(body, { declared: 4 * MiB }), "identity", lengthOf)
  );
  await until(() => bodies.waiting === 188);
  assert.equal(bodies.heldBytes, 48 * MiB);
  // A small one is not held up by them.
  assert.equal(await bodies.receive(post("four", { declared: 4 }), "identity", lengthOf), 4);
  assert.equal(await bodies.receive(post("four"), "identity", lengthOf), 4);
  for (const { send, end } of senders) {
    for (let quarter = 0; quarter < 4; quarter++) send(MiB);
    end();
  }
  assert.deepEqual(await Promise.all(answers), Array(200).fill(4 * MiB));
  assert.ok(bodies.heldHighWater <= 64 * MiB, `${bodies.heldHighWater}`);
  assert.deepEqual([bodies.heldBytes, bodies.waiting], [0, 0]);
});

Deno.test("200 slow senders of 4 MiB who declare nothing hold no more either", async () => {
  const bodies = new RequestBodies();
  const senders = Array.from({ length: 200 }, sender);
  const answers = senders.map(({ body }) => bodies.receive(post(body), "identity", lengthOf));
  for (const { send } of senders) send(MiB);
  // Three of them have the 16 MiB that a body may become, the others 64 KiB.
  await until(() => bodies.waiting === 197);
  assert.equal(bodies.heldBytes, 3 * 16 * MiB + 197 * 64 * KiB);
  assert.equal(await bodies.receive(post("four"), "identity", lengthOf), 4);
  for (const { send, end } of senders) {
    send(3 * MiB);
    end();
  }
  assert.deepEqual(await Promise.all(answers), Array(200).fill(4 * MiB));
  assert.ok(bodies.heldHighWater <= 64 * MiB, `${bodies.heldHighWater}`);
  assert.deepEqual([bodies.heldBytes, bodies.waiting], [0, 0]);
});

Deno.test("gzip is decompressed, several members included", async () => {
  const bodies = new RequestBodies();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const packed = Uint8Array.from([...gzipSync(bytes), ...gzipSync(bytes)]);
  await bodies.receive(post(packed), "gzip", (body) => {
    assert.deepEqual(body, Uint8Array.from([...bytes, ...bytes]));
    return Promise.resolve();
  });
  assert.equal(await bodies.receive(post(gzipSync("")), "gzip", lengthOf), 0);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("gzip that is cut, corrupt, followed by something or none at all gets 400", async () => {
  const bodies = new RequestBodies();
  const packed = new Uint8Array(gzipSync(crypto.getRandomValues(new Uint8Array(1000))));
  const corrupt = packed.slice();
  corrupt[500]! ^= 0xff;
  const wrongSum = packed.slice();
  wrongSum[packed.length - 6]! ^= 0xff;
  const cases: [Uint8Array, RegExp][] = [
    [packed.subarray(0, packed.length - 4), /^Cannot decompress the body: unexpected end of file$/],
    [packed.subarray(0, 5), /^Cannot decompress the body: unexpected end of file$/],
    [new Uint8Array(), /^Cannot decompress the body: unexpected end of file$/],
    [corrupt, /^Cannot decompress the body: /],
    [wrongSum, /^Cannot decompress the body: incorrect data check$/],
    [Uint8Array.from([...packed, 1, 2, 3]), /^Cannot decompress the body: /],
    [new Uint8Array(100).fill(97), /^Cannot decompress the body: incorrect header check$/],
  ];
  for (const [bytes, message] of cases) {
    await assert.rejects(bodies.receive(post(bytes), "gzip", lengthOf), { status: 400, message });
  }
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a bomb of any coding is refused when it passes the limit, not after", async () => {
  const plain = new Uint8Array(256 * MiB);
  const bombs = {
    gzip: gzipSync(plain),
    deflate: deflateSync(plain),
    zstd: zstdCompressSync(plain),
  };
  for (const [coding, bomb] of Object.entries(bombs)) {
    const bodies = new RequestBodies();
    let delivered = 0;
    const answers = Array.from(
      { length: 8 },
      () =>
        bodies.receive(post(bomb, { declared: bomb.length }), coding as keyof typeof bombs, () => {
          delivered++;
          return Promise.resolve();
        }),
    );
    for (const answer of answers) {
      await assert.rejects(answer, {
        status: 413,
        message: "Cannot read the body: it is larger than 67108864 bytes decompressed; " +
          "send smaller batches",
      });
    }
    assert.equal(delivered, 0);
    // One at a time: not eight times what one may become.
    assert.ok(bodies.heldHighWater <= 64 * MiB + 8 * bomb.length, `${bodies.heldHighWater}`);
    assert.equal(bodies.heldBytes, 0);
  }
});

Deno.test("decompressed bodies share what they may take together, also while they are delivered", async () => {
  const bodies = new RequestBodies({ inflatedBytes: 8 * MiB });
  const packed = gzipSync(new Uint8Array(5 * MiB));
  const delivery = Promise.withResolvers<void>();
  let delivered = 0;
  const answers = Array.from(
    { length: 3 },
    () =>
      bodies.receive(post(packed, { declared: packed.length }), "gzip", () => {
        delivered++;
        return delivery.promise;
      }),
  );
  await until(() => delivered === 1 && bodies.waiting === 2);
  assert.ok(bodies.heldBytes <= 8 * MiB + 3 * packed.length, `${bodies.heldBytes}`);
  delivery.resolve();
  await Promise.all(answers);
  assert.deepEqual([delivered, bodies.heldBytes], [3, 0]);
});

Deno.test("an invalid limit is refused by name and value", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ bodyBytes: 0 }, "'bodyBytes': 0 (Too small: expected number to be >0)"],
    [{ inflatedBytes: 1.5 }, "'inflatedBytes': 1.5 (Invalid input: expected int, received number)"],
    [
      { readingBytes: 16 * MiB },
      "'readingBytes': 16777216 (must be at least four thirds of bodyBytes, which is 16777216)",
    ],
    [
      { readTimeoutMs: "5" },
      "'readTimeoutMs': '5' (Invalid input: expected number, received string)",
    ],
    [{ waitTimeoutMs: -1 }, "'waitTimeoutMs': -1 (Too small: expected number to be >0)"],
    [{ bodyByte: 5 }, "'limits': { bodyByte: 5 } (Unrecognized key: \"bodyByte\")"],
  ];
  for (const [limits, message] of cases) {
    assert.throws(() => new RequestBodies(limits), {
      name: "RangeError",
      message: `Cannot create RequestBodies with ${message}`,
    });
  }
});
