import assert from "node:assert/strict";
import { progressBar } from "../src/progress_bar.ts";

Deno.test("a bar fills with what is done, and says how fast and how long", () => {
  const bar = (done: number, elapsedMs: number) =>
    progressBar({ done, total: 4000, elapsedMs }, 62);
  assert.deepEqual([bar(0, 0), bar(1000, 2000), bar(3999, 8000), bar(4000, 8000)], [
    "[                    ]   0%  0 of 4000, 0/s",
    "[#####               ]  25%  1000 of 4000, 500/s, 6s left",
    "[################### ]  99%  3999 of 4000, 500/s, 1s left",
    "[####################] 100%  4000 of 4000, 500/s",
  ]);
});

Deno.test("a bar never passes its width, and where there is no room there is none", () => {
  const progress = { done: 123_456, total: 9_876_543, elapsedMs: 60_000 };
  for (let width = 0; width <= 120; width++) {
    assert.ok(progressBar(progress, width).length <= width, String(width));
  }
  assert.equal(progressBar(progress, -5), "");
  assert.equal(progressBar(progress, 48), "1%  123456 of 9876543, 2058/s, 1h 19m left");
  assert.match(progressBar(progress, 120), /^\[ {40}\]/);
});

Deno.test("an estimate that was too low and nothing at all are done", () => {
  assert.match(
    progressBar({ done: 12, total: 10, elapsedMs: 1000 }, 60),
    /100% {2}12 of 12, 12\/s$/,
  );
  assert.match(progressBar({ done: 0, total: 0, elapsedMs: 0 }, 60), /100% {2}0 of 0, 0\/s$/);
});
