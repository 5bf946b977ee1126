/**
 * Where a subcommand writes to.
 *
 * @module
 */

/** What a subcommand needs to know of the terminal, and what it says there. */
export interface Output {
  /** Lines of JSON instead of text: asked for, or nobody at a terminal reads it. */
  readonly json: boolean;
  /** Columns of the terminal that sees what goes on; undefined when there is none. */
  readonly columns: number | undefined;
  /** Writes a line of the result. */
  line(text: string): void;
  /** Writes a line about what goes on. */
  note(text: string): void;
  /** Draws over the last line that was drawn. An empty text removes it. */
  draw(text: string): void;
}
