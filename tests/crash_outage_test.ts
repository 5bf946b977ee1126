/**
 * The same as `crash_test.ts` while the database fails in every way, too: killed and started again at
 * random, cut off between COMMIT and its answer, standing still for longer than the timeout of an
 * attempt, its disk full.
 */

import assert from "node:assert/strict";
import { assertWhole, crash, describe, type Trouble } from "./crash_harness.ts";
import { unreliablePostgres } from "./crash_outages.ts";
import { crashCooldownMs, crashRounds, crashSeed } from "./crash_settings.ts";
import { randomOf } from "./crashing_files.ts";
import { drivers } from "./postgres.ts";

const ATTEMPT_TIMEOUT_MS = 1_000;

if (drivers.includes("postgres")) {
  Deno.test("what a collector acknowledged is stored once, and forwarded, however often it and its database fail", async () => {
    const random = randomOf(crashSeed + 2);
    const rounds = Math.max(Math.ceil(crashRounds / 2), 4);
    await using postgres = await unreliablePostgres(random, rounds);
    assert.ok(postgres, "There are no binaries of Postgres to start a server with");
    if (!postgres.hasSmallDisk) console.log("skipped: a full disk, mounting is not permitted here");
    const trouble = (round: number): Trouble | undefined => {
      if (round % 10 === 1) return postgres.paused(2.5 * ATTEMPT_TIMEOUT_MS);
      if (round % 10 === 3 && postgres.hasSmallDisk) return postgres.full(1_500);
      return random() < 0.7 ? postgres.killed() : undefined;
    };
    const report = await crash({
      rounds,
      seed: crashSeed,
      cooldownMs: crashCooldownMs,
      database: postgres.url,
      reliable: postgres.reliable,
      env: { OTEL_STORAGE_ATTEMPT_TIMEOUT_MS: String(ATTEMPT_TIMEOUT_MS) },
      trouble,
    });
    console.log(
      `${describe("killed, on a Postgres that fails", report)}; ${postgres.cuts} cuts at COMMIT`,
    );
    assertWhole(report);
    assert.ok(postgres.cuts > 0);
    if (postgres.hasSmallDisk) assert.match(await postgres.log(), /No space left on device/);
  });
}
