/**
 * What a subcommand says, kept.
 *
 * @module
 */

import type { Output } from "../src/output.ts";

/** An output that keeps everything. */
export class TestOutput implements Output {
  readonly json: boolean;
  readonly columns: number | undefined;
  /** Of the result. */
  readonly lines: string[] = [];
  /** About what goes on. */
  readonly notes: string[] = [];
  /** What was drawn, one over the other. */
  readonly drawn: string[] = [];

  constructor({ json = false, columns }: { json?: boolean; columns?: number } = {}) {
    this.json = json;
    this.columns = columns;
  }

  line(text: string): void {
    this.lines.push(text);
  }

  note(text: string): void {
    this.notes.push(text);
  }

  draw(text: string): void {
    this.drawn.push(text);
  }
}
