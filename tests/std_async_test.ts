/**
 * What we rely on in `@std/async`: the specification that the stand-in in `links/std_async` and the
 * real package both meet. Against the real one, where JSR can be reached:
 *
 * ```sh
 * deno test -A --no-config --import-map 'data:application/json,{"imports":{"@std/async/delay":"jsr:@std/async@^1.2.0/delay","@std/async/retry":"jsr:@std/async@^1.2.0/retry"}}' tests/std_async_test.ts
 * ```
 */

import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import { retry, RetryError, type RetryOptions } from "@std/async/retry";
import { InstantTime } from "./instant_time.ts";

/** A function that fails a number of times, then succeeds, and counts its calls. */
function failing(times: number): { (): string; calls: number } {
  const call = (): string => {
    call.calls++;
    if (call.calls <= times) throw new Error(`failure ${call.calls}`);
    return "done";
  };
  call.calls = 0;
  return call;
}

/** The waits of a retry that never succeeds. */
async function waitsOf(options: RetryOptions): Promise<number[]> {
  using time = new InstantTime();
  await assert.rejects(retry(failing(Infinity), options), RetryError);
  return time.waits;
}

/** What `Math.random` gives until disposed. */
function randomIs(value: number): Disposable {
  const real = Math.random;
  Math.random = () => value;
  return {
    [Symbol.dispose]: () => {
      Math.random = real;
    },
  };
}

Deno.test("delay waits as long as asked", async () => {
  using time = new InstantTime();
  assert.equal(await delay(1_500), undefined);
  assert.deepEqual(time.waits, [1_500]);
});

Deno.test("delay with an aborted signal rejects with its reason and sets no timer", async () => {
  using time = new InstantTime();
  const reason = new Error("no more");
  await assert.rejects(
    delay(1_000, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.deepEqual(time.waits, []);
});

Deno.test("delay ends at once when its signal aborts, with the reason, and leaves no timer", async () => {
  using time = new InstantTime();
  const controller = new AbortController();
  const reason = new Error("no more");
  const waiting = delay(1_000, { signal: controller.signal });
  controller.abort(reason);
  assert.equal(time.pending, 0);
  await assert.rejects(waiting, (error) => error === reason);
});

Deno.test("delay aborted without a reason rejects with an AbortError", async () => {
  using _time = new InstantTime();
  const controller = new AbortController();
  const waiting = delay(1_000, { signal: controller.signal });
  controller.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});

Deno.test("delay takes its listener off the signal when it is over", async () => {
  using _time = new InstantTime();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  await delay(1_000, { signal });
  assert.equal(listeners, 0);
});

Deno.test("retry returns what the function returns and calls it once when it succeeds", async () => {
  using time = new InstantTime();
  const succeeding = failing(0);
  assert.equal(await retry(succeeding), "done");
  assert.equal(succeeding.calls, 1);
  assert.deepEqual(time.waits, []);
});

Deno.test("retry calls again after a throw and after a rejection", async () => {
  using time = new InstantTime();
  let calls = 0;
  const result = await retry(() => {
    calls++;
    if (calls === 1) throw new Error("thrown");
    return calls === 2 ? Promise.reject(new Error("rejected")) : Promise.resolve(calls);
  });
  assert.equal(result, 3);
  assert.equal(time.waits.length, 2);
});

Deno.test("retry makes maxAttempts attempts in all, five by default", async () => {
  using time = new InstantTime();
  for (const [options, attempts] of [[{}, 5], [{ maxAttempts: 1 }, 1], [{ maxAttempts: 8 }, 8]]) {
    time.waits.length = 0;
    const never = failing(Infinity);
    await assert.rejects(retry(never, options as RetryOptions), RetryError);
    assert.equal(never.calls, attempts);
    assert.equal(time.waits.length, attempts as number - 1);
  }
});

Deno.test("retry succeeds when the last attempt does", async () => {
  using _time = new InstantTime();
  const last = failing(2);
  assert.equal(await retry(last, { maxAttempts: 3 }), "done");
  assert.equal(last.calls, 3);
});

Deno.test("retry throws a RetryError whose cause is the last error itself", async () => {
  using _time = new InstantTime();
  const errors = [new Error("first"), new Error("second"), new Error("last")];
  let calls = 0;
  await assert.rejects(
    retry(() => Promise.reject(errors[calls++]), { maxAttempts: 3 }),
    (error) =>
      error instanceof RetryError && error instanceof Error && error.name === "RetryError" &&
      error.cause === errors[2],
  );
});

Deno.test("retry keeps a thrown value that is no error as the cause", async () => {
  for (const thrown of [undefined, null, "text"]) {
    await assert.rejects(
      retry(() => Promise.reject(thrown), { maxAttempts: 1 }),
      (error) => error instanceof RetryError && error.cause === thrown,
    );
  }
});

Deno.test("retry without jitter waits minTimeout, growing by multiplier up to maxTimeout", async () => {
  assert.deepEqual(
    await waitsOf({ minTimeout: 100, maxTimeout: 1_000, jitter: 0, maxAttempts: 8 }),
    [100, 200, 400, 800, 1_000, 1_000, 1_000],
  );
  assert.deepEqual(
    await waitsOf({ minTimeout: 10, maxTimeout: 500, multiplier: 3, jitter: 0, maxAttempts: 6 }),
    [10, 30, 90, 270, 500],
  );
  assert.deepEqual(
    await waitsOf({ minTimeout: 50, multiplier: 1, jitter: 0, maxAttempts: 4 }),
    [50, 50, 50],
  );
});

Deno.test("retry by default begins with a second and doubles it up to a minute", async () => {
  assert.deepEqual(
    await waitsOf({ jitter: 0, maxAttempts: 9 }),
    [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000],
  );
});

Deno.test("retry may wait nothing at all", async () => {
  assert.deepEqual(await waitsOf({ minTimeout: 0, maxAttempts: 3 }), [0, 0]);
});

Deno.test("retry keeps growing without end within maxTimeout", async () => {
  const waits = await waitsOf({ minTimeout: 1, maxTimeout: 10, jitter: 0, maxAttempts: 1_200 });
  assert.equal(waits.length, 1_199);
  assert.deepEqual(waits.slice(4), Array(1_195).fill(10));
});

Deno.test("retry shortens each wait at random by at most the share jitter", async () => {
  for (const jitter of [0.25, 0.5, 1]) {
    for (let round = 0; round < 200; round++) {
      const waits = await waitsOf({ minTimeout: 1_000, jitter, maxAttempts: 4 });
      waits.forEach((wait, attempt) => {
        const longest = 1_000 * 2 ** attempt;
        // Timers take whole milliseconds, so a fraction may be lost.
        assert(wait <= longest && wait >= longest * (1 - jitter) - 1, `${wait} of ${longest}`);
      });
    }
  }
});

Deno.test("retry has full jitter by default: any wait down to nothing", async () => {
  const waits: number[] = [];
  for (const value of [0, 0.5, 1 - Number.EPSILON]) {
    using _random = randomIs(value);
    waits.push(...await waitsOf({ minTimeout: 1_000, maxAttempts: 2 }));
  }
  assert.deepEqual(waits, [1_000, 500, 0]);
});

Deno.test("retry stops with the error itself when isRetriable says no", async () => {
  using time = new InstantTime();
  const errors = [new Error("passing"), new Error("lasting")];
  const asked: unknown[] = [];
  let calls = 0;
  await assert.rejects(
    retry(() => Promise.reject(errors[calls++]), {
      isRetriable: (error) => {
        asked.push(error);
        return error === errors[0];
      },
    }),
    (error) => error === errors[1],
  );
  assert.deepEqual(asked, errors);
  assert.equal(time.waits.length, 1);
});

Deno.test("retry asks isRetriable after the last attempt too", async () => {
  const error = new Error("lasting");
  await assert.rejects(
    retry(() => Promise.reject(error), { maxAttempts: 1, isRetriable: () => false }),
    (thrown) => thrown === error,
  );
});

Deno.test("retry with an aborted signal calls nothing and rejects with the reason", async () => {
  const reason = new Error("no more");
  const never = failing(0);
  await assert.rejects(
    retry(never, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 0);
});

Deno.test("retry ends a wait at once when its signal aborts, with the reason", async () => {
  using time = new InstantTime();
  const controller = new AbortController();
  const reason = new Error("no more");
  const never = failing(Infinity);
  time.onTimer = () => queueMicrotask(() => controller.abort(reason));
  time.holding = true;
  await assert.rejects(
    retry(never, { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 1);
  assert.equal(time.pending, 0);
});

Deno.test("retry does not interrupt an attempt: one that succeeds after the abort counts", async () => {
  const controller = new AbortController();
  const result = await retry(() => {
    controller.abort();
    return "done";
  }, { signal: controller.signal });
  assert.equal(result, "done");
});

Deno.test("retry makes no attempt after one that failed while the signal aborted", async () => {
  using time = new InstantTime();
  const controller = new AbortController();
  const reason = new Error("no more");
  let calls = 0;
  await assert.rejects(
    retry(() => {
      calls++;
      controller.abort(reason);
      throw new Error("failure");
    }, { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(calls, 1);
  assert.deepEqual(time.waits, []);
});

Deno.test("retry refuses options out of range with a RangeError that names option and value", async () => {
  const wrong: [RetryOptions, RegExp][] = [
    [{ maxAttempts: 0 }, /maxAttempts.*0/],
    [{ maxAttempts: -1 }, /maxAttempts.*-1/],
    [{ maxAttempts: 1.5 }, /maxAttempts.*1\.5/],
    [{ maxAttempts: NaN }, /maxAttempts.*NaN/],
    [{ maxAttempts: Infinity }, /maxAttempts.*Infinity/],
    [{ multiplier: 0.5 }, /multiplier.*0\.5/],
    [{ multiplier: NaN }, /multiplier.*NaN/],
    [{ multiplier: Infinity }, /multiplier.*Infinity/],
    [{ maxTimeout: 0 }, /maxTimeout.*0/],
    [{ maxTimeout: -1 }, /maxTimeout.*-1/],
    [{ maxTimeout: NaN }, /maxTimeout.*NaN/],
    [{ minTimeout: -1 }, /minTimeout.*-1/],
    [{ minTimeout: NaN }, /minTimeout.*NaN/],
    [{ minTimeout: 11, maxTimeout: 10 }, /minTimeout.*11/],
    [{ jitter: -0.1 }, /jitter.*-0\.1/],
    [{ jitter: 1.1 }, /jitter.*1\.1/],
    [{ jitter: NaN }, /jitter.*NaN/],
  ];
  for (const [options, message] of wrong) {
    const never = failing(0);
    await assert.rejects(retry(never, options), { name: "RangeError", message });
    assert.equal(never.calls, 0);
  }
});
