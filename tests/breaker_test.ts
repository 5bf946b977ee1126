/** The breaker: when it opens, probes and closes, by whose clock, and its options. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions } from "@oneiric/otel-storage/breaker";
import { begin, breakerAt, fail, half, opened, refused } from "./made_breaker.ts";

Deno.test("test_circuit_closed_passes_requests: a call returns its result, the state stays CLOSED", async () => {
  const breaker = new CircuitBreaker();
  assert.equal(breaker.state, "CLOSED");
  assert.equal(await breaker.call((a: number, b: string) => `${a}${b}`, 4, "2"), "42");
  assert.equal(await breaker.call(() => Promise.resolve("later")), "later");
  assert.equal(breaker.state, "CLOSED");
  assert.equal(breaker.failureCount, 0);
});

Deno.test("test_circuit_opens_after_threshold: five failures open it, the count is five", async () => {
  const { breaker } = breakerAt(0);
  await fail(breaker, 5);
  assert.equal(breaker.state, "OPEN");
  assert.equal(breaker.failureCount, 5);
});

Deno.test("test_circuit_half_opens_after_timeout: HALF_OPEN during the probe, CLOSED after its success", async () => {
  const { breaker, time } = await opened();
  time.now += 70_000;
  const during = await breaker.call(() => breaker.state);
  assert.equal(during, "HALF_OPEN");
  assert.equal(breaker.state, "CLOSED");
});

Deno.test("test_circuit_closes_after_half_open_success: from HALF_OPEN with count five to CLOSED with zero", async () => {
  const { breaker } = await half();
  assert.equal(breaker.state, "HALF_OPEN");
  assert.equal(breaker.failureCount, 5);
  assert.equal(await breaker.call(() => "up"), "up");
  assert.equal(breaker.state, "CLOSED");
  assert.equal(breaker.failureCount, 0);
});

Deno.test("test_circuit_remains_open_without_timeout: just failed, a call is refused and it is still OPEN", async () => {
  const { breaker } = await opened();
  await refused(breaker);
  assert.equal(breaker.state, "OPEN");
});

Deno.test("test_circuit_resets_on_success: a success takes the count from three to zero", async () => {
  const { breaker } = breakerAt(0);
  await fail(breaker, 3);
  assert.equal(breaker.failureCount, 3);
  await breaker.call(() => "up");
  assert.equal(breaker.failureCount, 0);
  assert.equal(breaker.state, "CLOSED");
});

Deno.test("test_circuit_error_in_open_state: every call is refused at once, without being made", async () => {
  const { breaker, time } = await opened();
  assert.equal((await refused(breaker)).remainingMs, 60_000);
  time.now += 59_999;
  const error = await refused(breaker);
  assert.equal(error.remainingMs, 1);
  assert.equal(error.name, "CircuitBreakerOpenError");
  assert.match(error.message, /open, try again in 1 ms/);
});

// The threshold.

Deno.test("breaker opens at the threshold exactly and not before", async () => {
  for (const failureThreshold of [1, 2, 7]) {
    const { breaker } = breakerAt(0, { failureThreshold });
    await fail(breaker, failureThreshold - 1);
    assert.equal(breaker.state, "CLOSED");
    await fail(breaker, 1);
    assert.equal(breaker.state, "OPEN");
  }
});

Deno.test("breaker counts failures in a row: a success between them begins anew", async () => {
  const { breaker } = breakerAt(0);
  await fail(breaker, 4);
  await breaker.call(() => "up");
  await fail(breaker, 4);
  assert.equal(breaker.state, "CLOSED");
  await fail(breaker, 1);
  assert.equal(breaker.state, "OPEN");
});

Deno.test("breaker counts throws and rejections alike and passes the error itself on", async () => {
  const breaker = new CircuitBreaker();
  for (const thrown of [new Error("thrown"), "text", undefined, null]) {
    await assert.rejects(breaker.call(() => Promise.reject(thrown)), (error) => error === thrown);
  }
  assert.equal(breaker.failureCount, 4);
});

Deno.test("breaker opened by calls under way together counts to the threshold and no further", async () => {
  const { breaker } = breakerAt(0);
  const calls = Array.from({ length: 50 }, () => begin(breaker));
  for (const { call, fail } of calls) {
    fail();
    await assert.rejects(call);
  }
  assert.equal(breaker.state, "OPEN");
  assert.equal(breaker.failureCount, 5);
});

// The probe.

Deno.test("breaker lets nothing through until the cooldown has passed to the millisecond", async () => {
  const { breaker, time } = await opened();
  time.now = 59_999.999;
  assert.equal(breaker.state, "OPEN");
  await refused(breaker);
  time.now = 60_000;
  assert.equal(breaker.state, "HALF_OPEN");
});

Deno.test("breaker admits one probe when half-open while fifty more calls get the error", async () => {
  const { breaker } = await half();
  const probe = begin(breaker);
  for (let i = 0; i < 50; i++) {
    const error = await refused(breaker);
    assert.equal(error.remainingMs, 0);
    assert.match(error.message, /probe under way/);
  }
  assert.equal(breaker.state, "HALF_OPEN");
  probe.succeed();
  assert.equal(await probe.call, "late");
  assert.equal(breaker.state, "CLOSED");
  assert.equal(await breaker.call(() => "up"), "up");
});

Deno.test("breaker lets one of fifty calls made at the same moment be the probe", async () => {
  const { breaker } = await half();
  let made = 0;
  const calls = await Promise.allSettled(
    Array.from({ length: 50 }, () => breaker.call(async () => await Promise.resolve(++made))),
  );
  assert.equal(made, 1);
  assert.equal(calls.filter(({ status }) => status === "fulfilled").length, 1);
});

Deno.test("breaker whose probe fails is open for a whole cooldown again, and counts on", async () => {
  const { breaker, time } = await half();
  await fail(breaker, 1);
  assert.equal(breaker.state, "OPEN");
  assert.equal(breaker.failureCount, 6);
  assert.equal((await refused(breaker)).remainingMs, 60_000);
  time.now += 60_000;
  await breaker.call(() => "up");
  assert.equal(breaker.state, "CLOSED");
});

Deno.test("breaker begins its cooldown when the probe fails, not when it began", async () => {
  const { breaker, time } = await half();
  const probe = begin(breaker);
  time.now += 30_000;
  probe.fail();
  await assert.rejects(probe.call);
  assert.equal((await refused(breaker)).remainingMs, 60_000);
});

Deno.test("breaker tells a refused caller what opened it", async () => {
  const { breaker } = await opened();
  assert.equal(((await refused(breaker)).cause as Error).message, "down");
});

Deno.test("breaker whose clock jumps far ahead admits one probe", async () => {
  for (const now of [1e15, Number.MAX_VALUE, Infinity]) {
    const { breaker, time } = await opened();
    time.now = now;
    const probe = begin(breaker);
    await refused(breaker);
    probe.fail();
    await assert.rejects(probe.call);
    // And back again.
    time.now = 0;
    assert((await refused(breaker)).remainingMs <= 60_000);
    time.now = 60_000;
    assert.equal(await breaker.call(() => "up"), "up");
  }
});

Deno.test("breaker whose clock is broken never stays open for good", async () => {
  const { breaker, time } = await opened();
  time.now = NaN;
  await fail(breaker, 1);
  assert.equal(await breaker.call(() => "up"), "up");
  assert.equal(breaker.state, "CLOSED");
});

Deno.test("breaker reads a monotonic clock by default", async () => {
  const { now } = performance;
  try {
    let time = 0;
    performance.now = () => time;
    const breaker = new CircuitBreaker({ failureThreshold: 1, cooldownMs: 10 });
    await fail(breaker, 1);
    time = 9;
    assert.equal(breaker.state, "OPEN");
    time = 10;
    assert.equal(breaker.state, "HALF_OPEN");
  } finally {
    performance.now = now;
  }
});

Deno.test("breaker with a cooldown of 0 probes with the next call", async () => {
  const { breaker } = breakerAt(0, { failureThreshold: 1, cooldownMs: 0 });
  await fail(breaker, 1);
  assert.equal(await breaker.call(() => "up"), "up");
  assert.equal(breaker.state, "CLOSED");
});

// The observer.

Deno.test("breaker tells its observer of each change once, in order, after it", async () => {
  const changes: string[] = [];
  const seen: string[] = [];
  const { breaker, time } = breakerAt(0, {
    failureThreshold: 1,
    onStateChange: (state, previous) => {
      changes.push(`${previous} -> ${state}`);
      seen.push(breaker.state);
    },
  });
  await breaker.call(() => "up");
  await fail(breaker, 1);
  using handle = breaker.isolate();
  time.now += 60_000;
  handle[Symbol.dispose]();
  await fail(breaker, 1);
  time.now += 60_000;
  await breaker.call(() => "up");
  assert.deepEqual(changes, [
    "CLOSED -> OPEN",
    "OPEN -> HALF_OPEN",
    "HALF_OPEN -> OPEN",
    "OPEN -> HALF_OPEN",
    "HALF_OPEN -> CLOSED",
  ]);
  assert.deepEqual(seen, ["OPEN", "HALF_OPEN", "OPEN", "HALF_OPEN", "CLOSED"]);
});

Deno.test("breaker works on when its observer throws, and says so on the console", async () => {
  const observers = [
    () => {
      throw new Error("observer");
    },
    () => Promise.reject(new Error("observer")),
  ];
  const written: unknown[][] = [];
  const { error } = console;
  console.error = (...args: unknown[]) => written.push(args);
  try {
    for (const onStateChange of observers) {
      written.length = 0;
      const { breaker, time } = breakerAt(0, { failureThreshold: 1, onStateChange });
      await fail(breaker, 1);
      time.now += 60_000;
      assert.equal(await breaker.call(() => "up"), "up");
      assert.equal(breaker.state, "CLOSED");
      await Promise.resolve().then(() => {}).then(() => {});
      assert.equal(written.length, 3);
      assert(written.every((line) => (line[1] as Error).message === "observer"));
    }
  } finally {
    console.error = error;
  }
});

// Options.

Deno.test("breaker opens after 5 failures for 60 s by default, also when options are given as undefined", async () => {
  const time = { now: 0 };
  const options = { failureThreshold: undefined, cooldownMs: undefined, isFailure: undefined };
  const breaker = new CircuitBreaker(
    { clock: () => time.now, ...options } as unknown as CircuitBreakerOptions,
  );
  await fail(breaker, 4);
  assert.equal(breaker.state, "CLOSED");
  await fail(breaker, 1);
  assert.equal((await refused(breaker)).remainingMs, 60_000);
});

Deno.test("breaker refuses bad options with a RangeError that names option and value", () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ failureThreshold: 0 }, /'failureThreshold': 0 /],
    [{ failureThreshold: -5 }, /'failureThreshold': -5 /],
    [{ failureThreshold: 2.5 }, /'failureThreshold': 2\.5 /],
    [{ failureThreshold: NaN }, /'failureThreshold': NaN /],
    [{ failureThreshold: Infinity }, /'failureThreshold': Infinity /],
    [{ failureThreshold: "5" }, /'failureThreshold': '5' /],
    [{ failureThreshold: null }, /'failureThreshold': null /],
    [{ cooldownMs: -1 }, /'cooldownMs': -1 /],
    [{ cooldownMs: NaN }, /'cooldownMs': NaN /],
    [{ cooldownMs: Infinity }, /'cooldownMs': Infinity /],
    [{ cooldownMs: 60_000n }, /'cooldownMs': 60000n /],
    [{ isFailure: true }, /'isFailure': true /],
    [{ clock: 0 }, /'clock': 0 /],
    [{ onStateChange: {} }, /'onStateChange': {} /],
    [{ threshold: 3 }, /threshold/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => new CircuitBreaker(options as CircuitBreakerOptions), {
      name: "RangeError",
      message,
    });
  }
});
