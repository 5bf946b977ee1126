import assert from "node:assert/strict";
import { HELP } from "../src/collector_args.ts";

const read = (name: string) => Deno.readTextFile(new URL(`../${name}`, import.meta.url));
const readme = await read("README.md");

/** What stands in backquotes, as words: `` `--port PORT` `` holds --port and PORT. */
const named = new Set(
  [...readme.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code!.split(/[\s,[\]|]+/)),
);

Deno.test("the README names every flag and variable of the collector, and no other", () => {
  const known = new Set(HELP.match(/--[a-z-]+|\b[A-Z]+(?:_[A-Z]+)+\b/g));
  for (const name of known) assert.ok(named.has(name), `README.md lacks ${name}`);

  const table = readme.slice(readme.indexOf("| flag "), readme.indexOf("Flags win over"));
  for (const name of table.match(/--[a-z][a-z-]+|\b[A-Z]+(?:_[A-Z]+)+\b/g)!) {
    assert.ok(known.has(name), `there is no ${name}`);
  }
});

Deno.test("the README names every view and every column of spans, logs and metric points", async () => {
  const schema = await read("sql/schema.sql");
  const views = [...schema.matchAll(/^comment on view otel\.(\w+)/gm)].map(([, view]) => view!);
  assert.ok(views.length >= 6);
  for (const view of views) assert.ok(named.has(view), `README.md lacks otel.${view}`);

  const columns = [
    ...schema.matchAll(/^comment on column otel\.(spans|logs|metric_points)\.(\w+)/gm),
  ];
  assert.ok(columns.length > 50);
  for (const [, view, column] of columns) {
    const about = readme.slice(readme.indexOf(`- \`${view}\``)).split(/\n- |\n\n/)[0]!;
    assert.ok(about.includes(`\`${column}\``), `README.md lacks otel.${view}.${column}`);
  }
});

Deno.test("the README points to files that exist", async () => {
  const files = readme.match(/\b(?:tests|src|tools|sql)\/[\w/]+\.\w+|(?<=\]\()[\w./]+(?=\))/g)!;
  assert.ok(files.length > 8);
  for (const file of files) await Deno.stat(new URL(`../${file}`, import.meta.url));
});
