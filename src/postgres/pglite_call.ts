/**
 * What the two sides of the embedded driver say to each other. It stands alone, so that who connects
 * knows the worker by its address only, and a program without PGlite does not depend on it.
 *
 * @module
 */

import type { CopyTable, SqlValue } from "./database.ts";

/** What the worker can be asked. */
export type PGliteCall =
  | { readonly kind: "open"; readonly dataDir: string; readonly snapshot?: Blob }
  | { readonly kind: "query"; readonly sql: string; readonly parameters: readonly SqlValue[] }
  | { readonly kind: "execute"; readonly script: string }
  | { readonly kind: "copyIn"; readonly table: CopyTable; readonly file: ArrayBuffer }
  | { readonly kind: "close" };

/** A question. */
export interface PGliteRequest {
  readonly id: number;
  readonly call: PGliteCall;
}

/** Its answer. `fields` are the error's, the SQLSTATE as `code` among them. */
export type PGliteReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly message: string; readonly fields: Record<string, unknown> };
