/**
 * What a program loads that imports an entry point: `deno info`, which follows dynamic imports too.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };

/** The modules that an entry point can lead to. */
async function graphOf(entry: string): Promise<string[]> {
  const info = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fileURLToPath(new URL(`../${entry}`, import.meta.url))],
    stdin: "null",
  });
  const { success, stdout, stderr } = await info.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: readonly { readonly specifier: string }[];
  };
  return modules.map(({ specifier }) => specifier);
}

/** What only those load that use it: PGlite, the web page, the SDK of OpenTelemetry. */
const OPTIONAL = /electric-sql|pglite_worker|\/ui\/|ui_assets|opentelemetry/;

for (const name of [".", "./adapter", "./breaker", "./retry"] as const) {
  Deno.test(`${name} leads neither to PGlite nor to the web page nor to an SDK`, async () => {
    const modules = await graphOf(config.exports[name]);
    assert.ok(modules.some((specifier) => specifier.endsWith(config.exports[name].slice(1))));
    assert.deepEqual(modules.filter((specifier) => OPTIONAL.test(specifier)), []);
  });
}

Deno.test("the embedded database is found by its worker, which is the one that loads PGlite", async () => {
  const modules = await graphOf("src/postgres/pglite_worker.ts");
  assert.ok(modules.some((specifier) => specifier.includes("@electric-sql/pglite")));
});
