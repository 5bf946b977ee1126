/** The page of a collector with a token, in Chromium. */

import assert from "node:assert/strict";
import { request } from "node:http";
import { browserTest } from "./browser.ts";
import { openShop, SIX_PAGES } from "./six_pages.ts";

const TOKEN = "s3cret-t0ken";
const shop = await openShop({ token: TOKEN });
Deno.test.afterAll(async () => await shop[Symbol.asyncDispose]());

browserTest(
  "the token is asked for once, for all pages and their stream of events",
  async (open) => {
    const page = await open(shop.url + SIX_PAGES[0]!.path);
    const dialog = page.getByRole("dialog", { name: "Token" });
    await dialog.waitFor();
    // It cannot be closed, and what is behind it shows nothing.
    for (let n = 0; n < 3; n++) await page.keyboard.press("Escape");
    await dialog.waitFor();
    assert.equal(await page.locator("a.trace-row").count(), 0);
    await dialog.getByLabel("Token").fill("s3cret-t0kem");
    await dialog.getByRole("button").click();
    await dialog.getByText("This is not the token of the collector.").waitFor();
    await dialog.getByLabel("Token").fill(TOKEN);
    await dialog.getByRole("button").click();
    await dialog.waitFor({ state: "detached" });
    await SIX_PAGES[0]!.shown(page).waitFor();

    const [cookie, ...others] = await page.context().cookies();
    assert.deepEqual(others, []);
    assert.deepEqual([cookie!.httpOnly, cookie!.sameSite], [true, "Strict"]);
    assert.ok(!cookie!.value.includes(TOKEN));
    assert.equal(await page.evaluate("document.cookie"), "");
    assert.doesNotMatch(await page.evaluate<string>("JSON.stringify(localStorage)"), /s3cret/);

    const another = await page.context().newPage();
    for (const { path, shown } of SIX_PAGES) {
      await another.goto(shop.url + path);
      await shown(another).waitFor();
      assert.equal(await another.getByRole("dialog").count(), 0, path);
    }
    await another.getByRole("button", { name: "Discard…" }).first().click();
    await another.getByRole("dialog").getByText(/This removes \d+ letters? with/).waitFor();

    await another.goto(`${shop.url}/logs?live=1`);
    await another.getByText("What arrives from now on is shown here.").waitFor();
    await sayUntil(() => another.getByText("said to who follows").first().isVisible());
  },
);

/** Sends log records until it is so: one that is sent before somebody follows is not followed. */
async function sayUntil(isSo: () => Promise<boolean>): Promise<void> {
  while (!await isSo()) {
    const response = await fetch(`${shop.url}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({
        resourceLogs: [{
          scopeLogs: [{
            logRecords: [{
              timeUnixNano: String(BigInt(Date.now()) * 1_000_000n),
              body: { stringValue: "said to who follows" },
            }],
          }],
        }],
      }),
    });
    assert.equal(response.status, 200, await response.text());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

browserTest("another token ends the session: it is asked for again", async (open) => {
  const page = await open(shop.url);
  const dialog = page.getByRole("dialog", { name: "Token" });
  await dialog.getByLabel("Token").fill(TOKEN);
  await dialog.getByLabel("Token").press("Enter");
  await dialog.waitFor({ state: "detached" });
  const [cookie] = await page.context().cookies();
  await page.context().addCookies([{ ...cookie!, value: cookie!.value.replace(/.$/, "~") }]);
  await page.keyboard.press("r");
  await dialog.waitFor();
});

Deno.test("a page of another origin gets nothing, even with the session", async () => {
  const login = await fetch(`${shop.url}/api/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: TOKEN }),
  });
  assert.equal(login.status, 204);
  const cookie = login.headers.get("set-cookie")!.split(";")[0]!;
  assert.equal(await statusOf("/api/stats", { cookie }), 200);
  assert.equal(await statusOf("/api/stats", { cookie, origin: "http://evil.example" }), 403);
  assert.equal(await statusOf("/api/stats", { cookie, "sec-fetch-site": "cross-site" }), 403);
  assert.equal(await statusOf("/api/logs/tail", { cookie, origin: "http://evil.example" }), 403);
  assert.equal(await statusOf("/traces", { origin: "http://evil.example" }), 403);
});

Deno.test("without a token, another Host gets neither the page nor the API", async () => {
  await using open = await openShop();
  const { host } = new URL(open.url);
  for (const path of [...SIX_PAGES.map(({ path }) => path), "/api/stats", "/api/logs/tail"]) {
    assert.equal(await statusOf(path, { host: "evil.example" }, open.url), 403, path);
  }
  assert.equal(await statusOf("/api/stats", { host }, open.url), 200);
});

/** Asks with headers that `fetch` does not let one set. */
async function statusOf(
  path: string,
  headers: Record<string, string>,
  url = shop.url,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const asking = request(url + path, { headers }, (response) => {
    response.destroy();
    resolve(response.statusCode!);
  });
  asking.on("error", reject);
  asking.end();
  return await promise;
}
