/**
 * The codings that a request's body may be sent in, undone chunk by chunk.
 *
 * @module
 */

import { constants, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { RequestError } from "./request_error.ts";
import { zstdFrames } from "./zstd_frames.ts";

/** How a body may be compressed. */
export type ContentEncoding = "identity" | "gzip" | "deflate" | "zstd";

/** The names of the codings for an `Accept-Encoding`. */
export const ACCEPTED_ENCODINGS = "gzip, deflate, zstd";

/** The widest window of zstd that gets memory: 32 MiB, what Go's encoder takes at its best level. */
const ZSTD_WINDOW_LOG = 25;

/**
 * What a body decompresses to.
 *
 * @param bytes The body as sent.
 * @param encoding How it is compressed. `deflate` is zlib's format, as in HTTP (RFC 9110, section
 * 8.4.1.2).
 * @returns The chunks, each made when it is asked for.
 * @throws {RequestError} 400 for a body that is cut or corrupt.
 */
export async function* decompress(
  bytes: Uint8Array,
  encoding: Exclude<ContentEncoding, "identity">,
): AsyncGenerator<Uint8Array> {
  try {
    if (encoding === "gzip") yield* createGunzip().end(bytes);
    else if (encoding === "deflate") yield* inflate(bytes);
    else yield* unzstd(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RequestError(400, `Cannot decompress the body: ${reason}`, { cause: error });
  }
}

async function* inflate(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const stream = createInflate();
  yield* stream.end(bytes);
  // Of what comes behind its end it says nothing.
  if (stream.bytesWritten < bytes.length) throw new Error("something follows its end");
}

/** Deno's decompressor ends after the first frame, and takes one that is cut for a whole one. */
async function* unzstd(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG };
  for (const frame of zstdFrames(bytes)) yield* createZstdDecompress({ params }).end(frame);
}
