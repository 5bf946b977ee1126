/** `query logs --follow`, as users run it. */

import assert from "node:assert/strict";
import { requestToJson } from "../src/otlp.ts";
import { launchCollector, runCollector, startCollector, stop } from "./collector_process.ts";
import { attribute, log, logs, resource, TIME } from "./one_record.ts";
import { temporaryFolder } from "./temporary_folder.ts";

let sent = 0n;

async function send(url: string, service: string, ...messages: string[]): Promise<void> {
  const records = messages.map((stringValue) =>
    log({ timeUnixNano: TIME + sent++, severityNumber: 9, body: { stringValue } })
  );
  const own = { resource: resource([attribute("service.name", service)]) };
  const response = await fetch(`${url}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: requestToJson("logs", logs(records, own)),
  });
  assert.equal(response.status, 200);
  await response.body?.cancel();
}

async function followed(url: string, count: number): Promise<void> {
  while (true) {
    const response = await fetch(`${url}/api/stats`);
    if ((await response.json()).tail.followers === count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("query logs --follow prints what comes, also after a restart of the collector, until it is ended", async () => {
  await using data = await temporaryFolder();
  const dataDir = data.path;
  const args = ["query", "logs", "--follow", "--service", "shop"];
  const first = await startCollector({ dataDir });
  await using follower = launchCollector({ dataDir, args });
  // Not a terminal: JSON. As text it is the line of `query logs`.
  await followed(first.url, 1);
  await send(first.url, "shop", "one", "two");
  await send(first.url, "cart", "of another");
  await follower.printed(`"two"`);
  await stop(first);
  await follower.logged("lost the collector");
  await using second = await startCollector({ dataDir });
  await send(second.url, "shop", "meanwhile\u001b[31m");
  await followed(second.url, 1);
  await send(second.url, "shop", "four");
  await follower.printed(`"four"`);
  follower.signal("SIGINT");
  const { code, stdout } = await follower.ended;
  assert.equal(code, 0);
  assert.deepEqual(
    stdout.trimEnd().split("\n").map((line) => JSON.parse(line).record.body.stringValue),
    ["one", "two", "meanwhile\u001b[31m", "four"],
  );
  assert.ok(!stdout.includes("\u001b"));
});

Deno.test("query logs --follow says what is in its way", async () => {
  await using data = await temporaryFolder();
  const dataDir = data.path;
  const follow = (...args: string[]) =>
    runCollector({ dataDir, args: ["query", "logs", "--follow", ...args] });
  const late = await follow("--until", "1h");
  assert.equal(late.code, 2);
  assert.match(late.stderr, /query logs --follow takes no --until; it takes /);
  const alone = await follow();
  assert.equal(alone.code, 2);
  assert.match(alone.stderr, /Cannot follow: no collector runs on /);
  await using collector = await startCollector({ dataDir });
  const regex = await follow("--filter", 'http.route ~ "^/a"');
  assert.equal(regex.code, 2);
  assert.match(regex.stderr, /Cannot use --filter/);
  await stop(collector);
});
