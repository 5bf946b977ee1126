/** The page as the server gives it: its files, and the session of a browser that has shown the token. */

import assert from "node:assert/strict";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { page } from "../src/page_assets.ts";
import { handler, type HandlerOptions } from "../src/server.ts";
import { isCurrent } from "../tools/page.ts";
import { fakeStore } from "./asked_handler.ts";

const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };

function serving(options: Partial<HandlerOptions> = {}) {
  const answer = handler({
    store: fakeStore(),
    admin: {
      query: () => Promise.resolve({ lines: [], truncated: false }),
      maintain: () => Promise.resolve({} as never),
      stats: () => Promise.resolve({ well: true }) as never,
    },
    page,
    ...options,
  });
  return (path: string, init?: RequestInit) =>
    answer(new Request(`http://localhost:4318${path}`, init), HERE);
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

Deno.test("every path of the page gives the document, which loads nothing from elsewhere", async () => {
  const ask = serving();
  for (
    const path of [
      "/",
      "/traces",
      `/traces/${"a".repeat(32)}`,
      "/logs",
      "/charts",
      "/services",
      "/pipeline",
    ]
  ) {
    const response = await ask(path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("cache-control"), "no-cache");
    const policy = response.headers.get("content-security-policy")!;
    assert.match(
      policy,
      /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/,
    );
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    const text = await response.text();
    assert.doesNotMatch(text.replace("http://www.w3.org/2000/svg", ""), /https?:\/\//);
    for (const [, file] of text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
      const asset = await ask(file!);
      assert.equal(asset.status, 200, file!);
      assert.match(asset.headers.get("cache-control")!, /immutable/);
      await asset.body?.cancel();
    }
  }
  for (const path of ["/nothing", "/assets/app.js", "/traces/a/b"]) {
    assert.equal((await ask(path)).status, 404, path);
  }
  assert.equal((await ask("/traces", { method: "POST" })).status, 405);
});

Deno.test("files come compressed as the client takes them, and not at all when it has them", async () => {
  const ask = serving();
  const { name, text } = page.files[0]!;
  const bodyOf = async (accepted: string) => {
    const response = await ask(`/assets/${name}`, { headers: { "accept-encoding": accepted } });
    return [
      response.headers.get("content-encoding"),
      new Uint8Array(await response.arrayBuffer()),
    ] as const;
  };
  const [br, brotli] = await bodyOf("gzip, deflate, br");
  assert.equal(br, "br");
  assert.equal(brotliDecompressSync(brotli).toString(), text);
  const [gz, gzipped] = await bodyOf("gzip, br;q=0");
  assert.equal(gz, "gzip");
  assert.equal(gunzipSync(gzipped).toString(), text);
  const [none, plain] = await bodyOf("identity");
  assert.equal(none, null);
  assert.equal(new TextDecoder().decode(plain), text);

  const tag = (await ask("/")).headers.get("etag")!;
  const again = await ask("/", { headers: { "if-none-match": `W/${tag}` } });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), "");
});

Deno.test("script and style are at most 150 kB compressed", async () => {
  const ask = serving();
  let bytes = 0;
  for (const { name } of page.files) {
    const response = await ask(`/assets/${name}`, { headers: { "accept-encoding": "br" } });
    bytes += (await response.arrayBuffer()).byteLength;
  }
  assert.ok(bytes <= 150_000, `${bytes} bytes`);
});

Deno.test("the bundle is known as not current when one character of it is another", async () => {
  const source = await Deno.readTextFile(new URL("../src/page_assets.ts", import.meta.url));
  assert.equal(await isCurrent(source), true);
  assert.equal(await isCurrent(source.replace("export const page", "export const pagE")), false);
});

Deno.test("the token gives a session that is not the token, until another token is set", async () => {
  const token = "s3cret-t0ken";
  const ask = serving({ token });
  assert.equal((await ask("/")).status, 200);
  assert.equal((await ask("/api/stats")).status, 401);
  assert.equal((await ask("/api/login", json({ token: "s3cret-t0kem" }))).status, 401);

  const login = await ask("/api/login", json({ token }));
  assert.equal(login.status, 204);
  const set = login.headers.get("set-cookie")!;
  assert.match(set, /; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Strict$/);
  assert.ok(!set.includes(token));
  const cookie = set.split(";")[0]!;
  assert.equal((await ask("/api/stats", { headers: { cookie } })).status, 200);

  const forged = cookie.replace(/=\d+/, (until) => `=${Number(until.slice(1)) + 1}`);
  assert.equal((await ask("/api/stats", { headers: { cookie: forged } })).status, 401);
  assert.equal(
    (await serving({ token: "other" })("/api/stats", { headers: { cookie } })).status,
    401,
  );
  // Who sends telemetry shows the token itself.
  const sent = await ask("/v1/traces", json({ resourceSpans: [] }, { cookie }));
  assert.equal(sent.status, 401);

  const logout = await ask("/api/logout", { method: "POST" });
  assert.match(logout.headers.get("set-cookie")!, /^otel_storage_4318=; .*Max-Age=0/);
});

Deno.test("a session counts only for what the page itself asks", async () => {
  const token = "s3cret-t0ken";
  const ask = serving({ token });
  const cookie = (await ask("/api/login", json({ token }))).headers.get("set-cookie")!.split(
    ";",
  )[0]!;
  const own = { cookie, origin: "http://localhost:4318" };
  const statusOf = async (headers: Record<string, string>) =>
    (await ask("/api/query", json({ sql: "select 1" }, headers))).status;
  assert.equal(await statusOf(own), 200);
  assert.equal(await statusOf({ cookie }), 403);
  assert.equal(await statusOf({ cookie, origin: "http://localhost:3000" }), 403);
  assert.equal(await statusOf({ cookie, origin: "null" }), 403);
  const reads = async (site: string) =>
    (await ask("/api/stats", { headers: { cookie, "sec-fetch-site": site } })).status;
  assert.equal(await reads("same-origin"), 200);
  assert.equal(await reads("same-site"), 403);
  assert.equal(await reads("cross-site"), 403);
});

Deno.test("a foreign Host or Origin gets neither the page nor a session", async () => {
  const ask = serving();
  assert.equal((await ask("/", { headers: { host: "evil.example" } })).status, 403);
  assert.equal(
    (await ask("/api/login", json({ token: "a" }, { origin: "http://evil.example" }))).status,
    403,
  );
  const withToken = serving({ token: "a" });
  const login = await withToken(
    "/api/login",
    json({ token: "a" }, { origin: "http://evil.example" }),
  );
  assert.equal(login.status, 403);
  const form = { method: "POST", headers: { "content-type": "text/plain" }, body: '{"token":"a"}' };
  assert.equal((await withToken("/api/login", form)).status, 415);
});

Deno.test("what is no token in JSON is refused without repeating it", async () => {
  const response = await serving({ token: "a" })("/api/login", json({ toke: "s3cret" }));
  assert.equal(response.status, 400);
  assert.ok(!(await response.text()).includes("s3cret"));
});
