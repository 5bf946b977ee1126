import assert from "node:assert/strict";
import { DeadLetters } from "../src/dead_letters.ts";
import { Delivery } from "../src/delivery.ts";
import { openJournal } from "../src/disk_journal.ts";
import { ForwardSink } from "../src/forward.ts";
import { diskFiles } from "../src/journal_files.ts";
import { decodeRequest, jsonToProtobuf } from "../src/otlp.ts";
import { assertLedger } from "./delivery_harness.ts";
import { type Behaviour, misbehavingServer, type ReceivedRequest } from "./misbehaving_server.ts";

const span = (name: string) =>
  jsonToProtobuf(
    "traces",
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ name }] }] }] }),
  );

const namesIn = ({ body }: ReceivedRequest) =>
  decodeRequest("traces", body).resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .map(({ name }) => name);

Deno.test("a journal on disk is forwarded over restarts, in order, its poison to the dead letters", async () => {
  const folder = await Deno.makeTempDir();
  const taken: string[] = [];
  let requests = 0;
  const behave = (request: ReceivedRequest): Behaviour => {
    const names = namesIn(request);
    if (names.includes("poison")) return { status: 400, body: "no poison" };
    // Now and then it is not there.
    if (++requests % 3 === 0) return "closes";
    taken.push(...names);
    return { status: 200 };
  };
  await using server = await misbehavingServer(behave);
  const sent: string[] = [];
  try {
    for (let run = 0; run < 4; run++) {
      await using journal = await openJournal(diskFiles(`${folder}/journal`));
      const cursor = await journal.cursor("vendor", "oldest");
      const letters = await DeadLetters.open(diskFiles(`${folder}/dead-letters`));
      const sink = new ForwardSink({ url: server.url, gzip: true });
      const options = { maxBatchRecords: 7, retryDelayMs: 1, pauseMs: 2, cooldownMs: 2 };
      await using delivery = new Delivery(journal, cursor, sink, letters, options);
      delivery.start();
      for (let n = 0; n < 30; n++) {
        const name = run === 2 && n === 11 ? "poison" : `${run}-${n}`;
        const arrivalUnixNano = BigInt(Date.now()) * 1_000_000n;
        sent.push(name);
        await journal.append({ signal: "traces", body: span(name), count: 1, arrivalUnixNano });
        assertLedger(delivery.stats);
      }
      // Each run leaves something to the next but the last one, which has to bring it all.
      if (run === 3) await delivery.drain();
      assertLedger(delivery.stats);
      if (run < 3) continue;
      const { letters: [letter, ...more] } = await letters.list();
      assert.deepEqual(more, []);
      assert.equal(letter!.reason, `${server.url} answered 400: no poison`);
      assert.deepEqual((await letters.read(letter!.name)).body, span("poison"));
    }
    const inOrder = [...new Set(taken)];
    assert.deepEqual(inOrder, sent.filter((name) => name !== "poison"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
