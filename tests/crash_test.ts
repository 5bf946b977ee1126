/**
 * A collector that is killed at random moments under load keeps what it acknowledged, once.
 *
 * `CRASH_ROUNDS` says how often (20), `CRASH_COOLDOWN_MS` how long its breakers stay open (500) and
 * `CRASH_SEED` where chance begins (1). By hand: `CRASH_ROUNDS=200 deno task test tests/crash_test.ts`.
 */

import { assertWhole, crash, describe } from "./crash_harness.ts";
import { crashCooldownMs, crashRounds, crashSeed } from "./crash_settings.ts";
import { drivers, testDatabase } from "./postgres.ts";

if (drivers.includes("postgres")) {
  Deno.test("what a collector acknowledged is in Postgres once, and forwarded, however often it is killed", async () => {
    await using test = await testDatabase("postgres");
    const report = await crash({
      rounds: crashRounds,
      seed: crashSeed,
      cooldownMs: crashCooldownMs,
      database: test.url,
    });
    console.log(describe("killed, on Postgres", report));
    assertWhole(report);
  });
}

Deno.test("what a collector acknowledged is in PGlite once, and forwarded, however often it is killed", async () => {
  const report = await crash({
    // Its start takes longer than several rounds on Postgres.
    rounds: Math.ceil(crashRounds / 4),
    patient: true,
    seed: crashSeed,
    cooldownMs: crashCooldownMs,
  });
  console.log(describe("killed, on PGlite", report));
  assertWhole(report);
});
