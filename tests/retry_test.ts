/** Retries: how often, how long between, and what ends them. */

import assert from "node:assert/strict";
import { CircuitBreaker } from "@oneiric/otel-storage/breaker";
import { withRetry, type WithRetryOptions } from "@oneiric/otel-storage/retry";
import { InstantTime } from "./instant_time.ts";
import { errorWith, refused } from "./made_errors.ts";

/** A function that fails with these errors, one a call, then returns "done". */
function failing(...errors: unknown[]): { (): Promise<string>; calls: number } {
  const call = () => {
    const index = call.calls++;
    return index < errors.length ? Promise.reject(errors[index]) : Promise.resolve("done");
  };
  call.calls = 0;
  return call;
}

Deno.test("withRetry succeeds on the third attempt", async () => {
  using _time = new InstantTime();
  const third = failing(refused(), errorWith({ name: "TimeoutError" }));
  assert.equal(await withRetry(third), "done");
  assert.equal(third.calls, 3);
});

Deno.test("withRetry gives up after maxAttempts with the last error itself", async () => {
  using time = new InstantTime();
  const errors = Array.from({ length: 9 }, refused);
  for (const [options, attempts] of [[{}, 3], [{ maxAttempts: 1 }, 1], [{ maxAttempts: 7 }, 7]]) {
    time.waits.length = 0;
    const never = failing(...errors);
    await assert.rejects(
      withRetry(never, options as WithRetryOptions),
      (error) => error === errors[never.calls - 1],
    );
    assert.equal(never.calls, attempts);
    assert.equal(time.waits.length, attempts as number - 1);
  }
});

Deno.test("withRetry calls once and waits for nothing when the first attempt succeeds", async () => {
  using time = new InstantTime();
  assert.equal(await withRetry(() => 42), 42);
  assert.deepEqual(time.waits, []);
});

Deno.test("withRetry retries what fn throws at once like what it rejects with", async () => {
  using _time = new InstantTime();
  let calls = 0;
  const result = await withRetry(() => {
    if (++calls < 3) throw refused();
    return calls;
  });
  assert.equal(result, 3);
});

Deno.test("withRetry throws a permanent error itself at once", async () => {
  using time = new InstantTime();
  for (const thrown of [errorWith({ code: "23505" }), new TypeError("a bug"), "text", undefined]) {
    const never = failing(thrown);
    await assert.rejects(withRetry(never), (error) => error === thrown);
    assert.equal(never.calls, 1);
  }
  const mixed = failing(refused(), errorWith({ message: "bad data" }));
  await assert.rejects(withRetry(mixed), { message: "bad data" });
  assert.equal(mixed.calls, 2);
  assert.equal(time.waits.length, 1);
});

Deno.test("withRetry does not unwrap an error of fn that looks like its own wrapper", async () => {
  const { RetryError } = await import("@std/async/retry");
  using _time = new InstantTime();
  for (const inner of [new Error("permanent"), refused()]) {
    const thrown = new RetryError(inner, 5);
    await assert.rejects(
      withRetry(() => Promise.reject(thrown)),
      (error) => error === thrown,
    );
  }
});

Deno.test("withRetry without jitter waits 100, 200, 400, 800 and then 1 000 ms", async () => {
  using time = new InstantTime();
  const never = failing(...Array.from({ length: 7 }, refused));
  await assert.rejects(withRetry(never, { maxAttempts: 7, jitter: 0 }));
  assert.deepEqual(time.waits, [100, 200, 400, 800, 1_000, 1_000]);
});

Deno.test("withRetry waits as its options say", async () => {
  using time = new InstantTime();
  const never = failing(...Array.from({ length: 5 }, refused));
  await assert.rejects(
    withRetry(never, {
      maxAttempts: 5,
      initialDelayMs: 10,
      multiplier: 3,
      maxDelayMs: 100,
      jitter: 0,
    }),
  );
  assert.deepEqual(time.waits, [10, 30, 90, 100]);
});

Deno.test("withRetry never waits longer than maxDelayMs, not even at first", async () => {
  using time = new InstantTime();
  const never = failing(refused(), refused(), refused());
  await assert.rejects(withRetry(never, { maxDelayMs: 50, jitter: 0 }));
  assert.deepEqual(time.waits, [50, 50]);
});

Deno.test("withRetry has full jitter by default", async () => {
  const { random } = Math;
  const waits: number[] = [];
  try {
    for (const value of [0, 0.5, 1 - Number.EPSILON]) {
      Math.random = () => value;
      using time = new InstantTime();
      await assert.rejects(withRetry(failing(refused(), refused()), { maxAttempts: 2 }));
      waits.push(...time.waits);
    }
  } finally {
    Math.random = random;
  }
  assert.deepEqual(waits, [100, 50, 0]);
});

Deno.test("withRetry with an aborted signal calls nothing and throws the reason", async () => {
  const reason = new Error("no more");
  const never = failing();
  await assert.rejects(
    withRetry(never, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 0);
});

Deno.test("withRetry ends a wait at once when the signal aborts and leaves no timer", async () => {
  using time = new InstantTime();
  time.holding = true;
  const controller = new AbortController();
  const reason = new Error("no more");
  time.onTimer = () => queueMicrotask(() => controller.abort(reason));
  const never = failing(refused(), refused());
  await assert.rejects(
    withRetry(never, { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 1);
  assert.equal(time.pending, 0);
});

Deno.test("withRetry ends the wait the other side asked for when the signal aborts", async () => {
  using time = new InstantTime();
  const controller = new AbortController();
  const reason = refused();
  // The first timer is the wait of the retry, the second what is missing to retryAfterMs.
  time.onTimer = () => {
    time.holding = true;
    if (time.waits.length === 2) queueMicrotask(() => controller.abort(reason));
  };
  const busy = failing(errorWith({ status: 503, retryAfterMs: 900 }));
  await assert.rejects(
    withRetry(busy, { jitter: 0, signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(busy.calls, 1);
  assert.deepEqual(time.waits, [100, 800]);
  assert.equal(time.pending, 0);
});

Deno.test("withRetry does not retry an aborted call", async () => {
  const aborted = failing(AbortSignal.abort().reason);
  await assert.rejects(withRetry(aborted), { name: "AbortError" });
  assert.equal(aborted.calls, 1);
});

Deno.test("withRetry waits at least as long as the other side asks", async () => {
  using time = new InstantTime();
  const busy = failing(
    errorWith({ status: 429, retryAfterMs: 50 }),
    errorWith({ status: 429, retryAfterMs: 1_000 }),
  );
  assert.equal(await withRetry(busy, { jitter: 0 }), "done");
  assert.deepEqual(time.waits, [100, 200, 800]);
});

Deno.test("withRetry throws at once when it is asked to wait longer than maxDelayMs", async () => {
  using time = new InstantTime();
  const busy = failing(errorWith({ status: 429, retryAfterMs: 1_001 }));
  await assert.rejects(withRetry(busy), { status: 429 });
  assert.equal(busy.calls, 1);
  assert.deepEqual(time.waits, []);
  assert.equal(
    await withRetry(failing(errorWith({ status: 429, retryAfterMs: 1_001 })), {
      maxDelayMs: 2_000,
    }),
    "done",
  );
});

Deno.test("withRetry round a breaker fails fast once it is open", async () => {
  using time = new InstantTime();
  const breaker = new CircuitBreaker({ failureThreshold: 2 });
  const never = failing(...Array.from({ length: 9 }, refused));
  await assert.rejects(withRetry(() => breaker.call(never), { maxAttempts: 9 }), {
    name: "CircuitBreakerOpenError",
  });
  assert.equal(never.calls, 2);
  assert.equal(time.waits.length, 2);
});

Deno.test("withRetry refuses bad options with a RangeError that names option and value, and calls nothing", async () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ maxAttempts: 0 }, /'maxAttempts': 0 /],
    [{ maxAttempts: -1 }, /'maxAttempts': -1 /],
    [{ maxAttempts: 2.5 }, /'maxAttempts': 2\.5 /],
    [{ maxAttempts: Infinity }, /'maxAttempts': Infinity /],
    [{ maxAttempts: "3" }, /'maxAttempts': '3' /],
    [{ initialDelayMs: -1 }, /'initialDelayMs': -1 /],
    [{ initialDelayMs: NaN }, /'initialDelayMs': NaN /],
    [{ multiplier: 0.9 }, /'multiplier': 0\.9 /],
    [{ maxDelayMs: 0 }, /'maxDelayMs': 0 /],
    [{ maxDelayMs: 2 ** 31 }, /'maxDelayMs': 2147483648 /],
    [{ jitter: -0.1 }, /'jitter': -0\.1 /],
    [{ jitter: 1.1 }, /'jitter': 1\.1 /],
    [{ signal: "now" }, /'signal': 'now' /],
    [{ retries: 3 }, /retries/],
  ];
  for (const [options, message] of wrong) {
    const never = failing();
    await assert.rejects(withRetry(never, options as WithRetryOptions), {
      name: "RangeError",
      message,
    });
    assert.equal(never.calls, 0);
  }
});
