/**
 * A store that is held up at a row, by a lock that the test has.
 *
 * @module
 */

import type { Database } from "../src/postgres/database.ts";

/** Span `number` waits for the advisory lock 42. */
export async function waitAt(database: Database, number: number): Promise<void> {
  await database.execute(`
    create function wait_at() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(42);
      return new;
    end $$;
    create trigger wait_at before insert on otel_data.spans
      for each row when (new.span_id = ${number}) execute function wait_at()`);
}
