/**
 * Reads server-sent events as EventSource does.
 *
 * @module
 */

import assert from "node:assert/strict";

/** An event as a client reads it. */
export interface ReadEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** The events of a response. */
async function* eventsOf(response: Response): AsyncGenerator<ReadEvent> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  let rest = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) =>
          /^(\w*):? ?(.*)$/s.exec(line)!.slice(1) as [string, string]
        ),
      );
      const data = fields.get("data");
      if (data === undefined) continue;
      yield { id: fields.get("id"), event: fields.get("event") ?? "message", data };
    }
  }
}

/** Reads events until `count` records have come, and leaves. */
export async function readEvents(response: Response, count: number): Promise<ReadEvent[]> {
  const events: ReadEvent[] = [];
  let records = 0;
  for await (const event of eventsOf(response)) {
    events.push(event);
    if (event.event === "message" && ++records === count) break;
  }
  return events;
}
