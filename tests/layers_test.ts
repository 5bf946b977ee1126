import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import layers, { LAYERS } from "../tools/layers.ts";

/** What the rules say about `source` as the file `name`, a path from the root of the repository. */
function lint(name: string, source: string): string[] {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  return Deno.lint.runPlugin(layers, path, source).map(({ id, message }) => `${id}: ${message}`);
}

const FORMS: readonly ((specifier: string) => string)[] = [
  (to) => `import { a } from "${to}"; a();`,
  (to) => `import type { A } from "${to}"; export const a: A = 1;`,
  (to) => `import "${to}";`,
  (to) => `export { a } from "${to}";`,
  (to) => `export * from "${to}";`,
  (to) => `await import("${to}");`,
  (to) => `export const a = (b: import("${to}").B) => b;`,
];

Deno.test("layers accept an import of a lower layer and of packages", () => {
  for (const form of FORMS) {
    assert.deepEqual(lint("src/server.ts", form("./otlp.ts")), []);
    assert.deepEqual(lint("src/postgres/sink.ts", form("../record.ts")), []);
    assert.deepEqual(lint("mod.ts", form("./src/adapter.ts")), []);
    assert.deepEqual(lint("src/adapter.ts", form("zod")), []);
    assert.deepEqual(lint("src/adapter.ts", form("node:crypto")), []);
  }
});

Deno.test("layers refuse an import that points up, in each of its forms, naming file and import", () => {
  for (const form of FORMS) {
    assert.deepEqual(lint("src/otlp.ts", form("./server.ts")), [
      "oneiric/layers: otlp.ts (layer 1) imports server.ts (layer 4): imports point down",
    ]);
  }
});

Deno.test("layers refuse an import of a neighbour in the same layer", () => {
  assert.deepEqual(lint("src/breaker.ts", FORMS[0]!("./retry.ts")), [
    "oneiric/layers: breaker.ts imports retry.ts, its neighbour in layer 0: imports point down",
  ]);
});

Deno.test("layers let the files of one part import those before them, so no cycle can close", () => {
  assert.deepEqual(lint("src/otlp.ts", FORMS[0]!("./otlp_fields.ts")), []);
  assert.deepEqual(lint("src/otlp_fields.ts", FORMS[0]!("./otlp.ts")), [
    "oneiric/layers: otlp_fields.ts imports otlp.ts, " +
    "which does not stand before it in its part of tools/layers.ts",
  ]);
});

Deno.test("layers refuse a file that has no place and an import of one", () => {
  assert.deepEqual(lint("src/utils.ts", "export {};"), [
    "oneiric/layers: utils.ts has no place in tools/layers.ts",
  ]);
  assert.deepEqual(lint("src/server.ts", FORMS[0]!("./utils.ts")), [
    "oneiric/layers: server.ts imports utils.ts, which has no place in tools/layers.ts",
  ]);
});

Deno.test("layers name no file twice and none that does not exist", async () => {
  const files = LAYERS.flat(2);
  assert.equal(new Set(files).size, files.length);
  for (const file of files) await Deno.stat(new URL(`../src/${file}`, import.meta.url));
});

Deno.test("layers refuse what leaves the package, its own name and a path they cannot read", () => {
  assert.deepEqual(lint("src/server.ts", FORMS[0]!("../tests/layers_test.ts")), [
    "oneiric/layers: server.ts imports ../tests/layers_test.ts, which is not part of the package",
  ]);
  assert.deepEqual(lint("src/server.ts", FORMS[0]!("@oneiric/otel-storage/breaker")), [
    "oneiric/layers: server.ts imports its own package: use a path",
  ]);
  assert.deepEqual(lint("src/server.ts", "const at = './otlp.ts'; await import(at);"), [
    "oneiric/layers: server.ts imports a computed path: the layers cannot be checked",
  ]);
});

Deno.test("layers refuse Deno outside the files that may use it, however it is reached", () => {
  const message = "oneiric/deno: server.ts uses Deno: it has to run anywhere";
  assert.deepEqual(lint("src/server.ts", "Deno.serve(() => new Response());"), [message]);
  assert.deepEqual(lint("src/server.ts", "globalThis.Deno.exit();"), [message]);
  assert.deepEqual(lint("src/server.ts", "export type Listener = Deno.Listener;"), [message]);
  assert.deepEqual(lint("src/server.ts", "// Deno\nexport const text = 'Deno';"), []);
  assert.deepEqual(lint("src/collector.ts", "Deno.exit(0);"), []);
});

Deno.test("layers leave tests, tools and benches alone", () => {
  for (const name of ["tests/a_test.ts", "tools/a.ts", "bench/a_bench.ts"]) {
    assert.deepEqual(lint(name, "import '../src/server.ts'; Deno.exit(0);"), []);
  }
});
