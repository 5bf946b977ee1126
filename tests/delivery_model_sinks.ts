/**
 * The two kinds of sinks in such a world: one that forgets, and one that keeps the position.
 *
 * @module
 */

import type { JournalRecord } from "../src/journal.ts";
import { type Bury, type Delivered, joined, type More, noCounts, type Sink } from "../src/sink.ts";
import { down } from "./delivery_harness.ts";
import { deadBy, forever, type Judged, type Life, type World } from "./delivery_model.ts";

/** A sink that says the truth, if it says anything. */
export function forgetfulSink(world: World): (life: Life) => Sink {
  return (life) => ({
    deliver: (records, signal) =>
      life.call(async (): Promise<Delivered> => {
        const some = records.slice(0, 1 + world.upTo(records.length));
        if (world.fails(0.1)) throw down();
        if (world.fails(0.05)) throw down(world.upTo(500_000));
        if (world.fails(0.05)) return await forever();
        if (world.fails(0.05)) {
          return await new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason), { once: true })
          );
        }
        const judged = world.judge(world.happens(0.8) ? records : some);
        const answer = world.otherSide.take(judged);
        // It has taken them, and nobody hears of it.
        if (world.fails(0.1)) throw down();
        world.answer = answer;
        return world.fails(0.1) ? { ...answer, failure: down() } : answer;
      }),
  });
}

/** A database: it moves its position with what it stores, and may do so after it was given up. */
export function database(world: World): (life: Life) => Sink {
  let at = 0n;
  let late: (() => void) | undefined;
  return (life) => {
    let known = 0n;
    /** A call that was left alone and is not at its end. */
    let leftAlone: (() => Promise<unknown>) | undefined;
    const commit = (judged: Judged, from: bigint): Delivered => {
      if (at !== from) throw new Error(`the position is ${at} and not ${from}`);
      const answer = world.otherSide.take(judged);
      at = known = answer.next;
      world.moved(at, (n) => deadBy(answer, n));
      return answer;
    };
    /** Stores some, now or later; says so, or not. */
    const store = async (records: readonly JournalRecord[], bury: Bury): Promise<Delivered> => {
      if (world.fails(0.1)) throw down();
      const judged = world.judge(records);
      if (judged.answer.dead.length > 0) await bury(judged.answer.dead);
      const from = known;
      if (world.fails(0.1)) {
        late = () => {
          if (at === from) commit(judged, from);
        };
        if (world.happens(0.5)) return await forever();
        throw down();
      }
      const answer = commit(judged, from);
      if (world.fails(0.1)) throw down();
      return answer;
    };
    /** Asks for more, or is left alone and does so later: then it is told that nobody listens. */
    const ask = async (more: More, settled: Delivered | undefined) => {
      if (!world.fails(0.1)) return await more(settled);
      leftAlone = async () => {
        const answer = await more(settled).catch(({ name }) => name);
        if (answer !== "AbortError") world.wrong(`a call that was left alone got ${answer}`);
      };
      return await forever();
    };
    /** Goes on as long as there is more, with some slices under way at a time. */
    const goOn = async (
      first: readonly JournalRecord[],
      bury: Bury,
      more: More,
    ): Promise<Delivered> => {
      const slices = [first];
      let end = first.at(-1)!.next;
      let untold: Delivered | undefined;
      const most = 1 + world.upTo(3);
      for (let isAll = false; slices.length > 0;) {
        while (!isAll && slices.length < most && world.happens(0.8)) {
          const told = world.happens(0.7) ? untold : undefined;
          if (told !== undefined) untold = undefined;
          const slice = await ask(more, told);
          isAll = slice.length === 0;
          if (isAll) break;
          world.slices++;
          for (const { position, next } of slice) {
            if (position !== end) world.wrong(`it was given ${position} behind ${end}`);
            end = next;
          }
          slices.push(slice);
        }
        try {
          untold = joined(untold, await store(slices[0]!, bury));
        } catch (failure) {
          if (untold === undefined) throw failure;
          return { ...untold, failure };
        }
        slices.shift();
      }
      return untold ?? { next: known, delivered: noCounts(), dead: [] };
    };
    return {
      position: () =>
        life.call(async () => {
          await leftAlone?.();
          leftAlone = undefined;
          if (world.fails(0.1)) throw down();
          // Whoever asks waits for a transaction that is still at it.
          late?.();
          late = undefined;
          known = at;
          world.asked = true;
          return at === 0n ? undefined : at;
        }),
      deliver: (records, _, bury, more) =>
        life.call(async () => {
          if (world.happens(0.5)) return await goOn(records, bury, more!);
          if (world.happens(0.7)) return await store(records, bury);
          const some = records.slice(0, 1 + world.upTo(records.length));
          const rest = records.slice(some.length);
          const isAll = rest.length === 0 || world.happens(0.5);
          // Some of the rest may be buried, and stored by a later attempt all the same.
          if (isAll && rest.length > 0) await bury(world.judge(rest).answer.dead);
          const answer = await store(some, bury);
          if (isAll) return answer;
          try {
            const { next, dead } = await store(rest, bury);
            return { ...answer, next, dead: [...answer.dead, ...dead] };
          } catch (failure) {
            return { ...answer, failure };
          }
        }),
    };
  };
}
