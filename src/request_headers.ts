/**
 * What the headers of a request say of its body.
 *
 * @module
 */

import { ACCEPTED_ENCODINGS, type ContentEncoding } from "./decompress.ts";
import type { Encoding } from "./otlp.ts";
import { RequestError } from "./request_error.ts";

/** The content types of OTLP. */
export const CONTENT_TYPES: Readonly<Record<Encoding, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

/** The encoding that the content type names, undefined for any other type. */
export function encodingOf(request: Request): Encoding | undefined {
  const type = request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (type === CONTENT_TYPES.protobuf) return "protobuf";
  return type === CONTENT_TYPES.json ? "json" : undefined;
}

/**
 * How the body is compressed.
 *
 * @throws {RequestError} 415, in a way that cannot be read.
 */
export function compressionOf(request: Request): ContentEncoding {
  const name = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return "identity";
  if (name === "gzip" || name === "x-gzip") return "gzip";
  if (name === "deflate" || name === "zstd") return name;
  throw new RequestError(
    415,
    "Cannot read the body: its Content-Encoding must be gzip, deflate, zstd or identity",
    { headers: { "accept-encoding": ACCEPTED_ENCODINGS } },
  );
}
