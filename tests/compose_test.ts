import assert from "node:assert/strict";
import { parse } from "yaml";
import { HELP, readSettings } from "../src/collector_args.ts";

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: { readonly postgres: Service; readonly collector: Service };
  readonly volumes: Readonly<Record<string, unknown>>;
}

const ROOT = new URL("../", import.meta.url);
const read = (name: string) => Deno.readTextFile(new URL(name, ROOT));
const compose: Compose = parse(
  (await read("docker-compose.yml")).replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1"),
);
const { postgres, collector } = compose.services;
const both = Object.values(compose.services);

Deno.test("compose mounts the SQL files as the init scripts, schema first, and they exist", async () => {
  const scripts = postgres.volumes.filter((volume) => volume.includes("initdb.d"));
  assert.deepEqual(scripts, [
    "./sql/schema.sql:/docker-entrypoint-initdb.d/1-schema.sql:ro",
    "./sql/partitions.sql:/docker-entrypoint-initdb.d/2-partitions.sql:ro",
  ]);
  for (const script of scripts) assert.notEqual(await read(script.split(":")[0]!), "");
});

Deno.test("compose mounts only files that exist and volumes that it declares", async () => {
  for (const volume of both.flatMap(({ volumes }) => volumes)) {
    const source = volume.slice(0, volume.indexOf(":"));
    if (source.startsWith(".")) await Deno.stat(new URL(source, ROOT));
    else assert.ok(source in compose.volumes, source);
  }
});

Deno.test("compose pins its images and publishes to this machine only", () => {
  for (const { image, ports } of both) {
    assert.match(image, /:\d+\.\d+(\.\d+)?$/);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/);
  }
});

Deno.test("compose gives the collector settings that it knows and accepts", () => {
  const { environment } = collector;
  for (const name of Object.keys(environment)) assert.ok(HELP.includes(name), name);
  const settings = readSettings([], (name) => environment[name]);
  assert.ok(typeof settings === "object");
  assert.equal(settings.command, "serve");
  assert.equal(settings.host, "0.0.0.0");
  assert.equal(settings.port, 4318);
  assert.notEqual(settings.token, undefined);
});

Deno.test("compose starts the collector on the database, with the permissions of deno task start", async () => {
  const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = postgres.environment;
  assert.equal(
    collector.environment.DATABASE_URL,
    `postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres:5432/${POSTGRES_DB}`,
  );
  assert.equal(collector.depends_on?.postgres?.condition, "service_healthy");

  const { tasks } = JSON.parse(await read("deno.json"));
  const start = /deno (run .*)/.exec(tasks.start.command)![1]!.replaceAll("'", "").split(" ");
  const command = collector.command!.map((word) => word.replace(/^(--allow-write)=.*/, "$1"));
  assert.deepEqual(command, start);
});

Deno.test("compose asks each service itself whether it is healthy", () => {
  assert.ok(postgres.healthcheck.test.includes("--host=127.0.0.1"));
  assert.ok(postgres.healthcheck.test.includes(`--dbname=${postgres.environment.POSTGRES_DB}`));
  assert.match(collector.healthcheck.test.at(-1)!, /http:\/\/127\.0\.0\.1:4318\/readyz/);
});
