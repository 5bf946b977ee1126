/**
 * A last statement and COMMIT by `npm:pg`, sent as one message: a pipeline of the extended protocol, of
 * which the server skips what follows a statement that fails.
 *
 * Instead of two queries of `npm:pg`, which sends the second when it has heard of the first: in a process
 * that is busy that takes as long again as what the server does.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 *
 * @module
 */

import type { Row } from "./database.ts";

/** What `npm:pg` gives to a query that sends itself. */
interface PgConnection {
  parse(statement: { text: string }): void;
  bind(portal: { values?: readonly (string | null)[] }): void;
  describe(what: { type: "P" }): void;
  execute(portal: object): void;
  sync(): void;
  readonly stream: { cork(): void; uncork(): void };
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** A query for `Client.query` of `npm:pg`, which knows it by its `submit`. */
export class PgCommit {
  readonly #sql: string;
  readonly #values: readonly (string | null)[];
  readonly #parse: (oid: number, text: string) => unknown;
  readonly #done = Promise.withResolvers<Row[]>();
  readonly #rows: Row[] = [];
  #fields: readonly Field[] = [];

  /**
   * @param values Its parameters as text.
   * @param parse Makes values of the text of results.
   */
  constructor(
    sql: string,
    values: readonly (string | null)[],
    parse: (oid: number, text: string) => unknown,
  ) {
    this.#sql = sql;
    this.#values = values;
    this.#parse = parse;
  }

  /** The rows of the statement, when all is committed; rejects with what the server said. */
  get rows(): Promise<Row[]> {
    return this.#done.promise;
  }

  /** Sends all of it. */
  submit(connection: PgConnection): void {
    connection.stream.cork();
    connection.parse({ text: this.#sql });
    connection.bind({ values: this.#values });
    connection.describe({ type: "P" });
    connection.execute({});
    connection.parse({ text: "commit" });
    connection.bind({});
    connection.execute({});
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#fields = fields;
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.#rows.push(Object.fromEntries(this.#fields.map(({ name, dataTypeID }, n) => {
      const text = fields[n]!;
      return [name, text === null ? null : this.#parse(dataTypeID, text)];
    })));
  }

  handleError(error: unknown): void {
    this.#done.reject(error);
  }

  handleReadyForQuery(): void {
    this.#done.resolve(this.#rows);
  }

  // Told by the server, and no news.
  handleCommandComplete(): void {}
}
