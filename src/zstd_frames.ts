/**
 * Where the frames of zstd begin and end (RFC 8878, section 3.1), without decompressing them.
 *
 * @module
 */

const MAGIC = 0xfd2fb528;
/** Its lowest four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/**
 * The frames of `bytes` that hold data.
 *
 * @param bytes One frame or more.
 * @returns Parts of `bytes`.
 * @throws {Error} It is cut, or something else than a frame.
 *
 * @example
 * ```ts ignore
 * import { zstdCompressSync } from "node:zlib";
 *
 * const one = zstdCompressSync("one");
 * const two = zstdCompressSync("two");
 * zstdFrames(Buffer.concat([one, two])); // [one, two]
 * ```
 */
export function zstdFrames(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Uint8Array[] = [];
  let at = 0;
  try {
    do {
      const magic = view.getUint32(at, true);
      const skipped = (magic & ~0xf) === SKIPPABLE_MAGIC;
      if (!skipped && magic !== MAGIC) throw new Error("incorrect header check");
      const end = skipped ? at + 8 + view.getUint32(at + 4, true) : endOfFrame(view, at);
      if (end > bytes.length) throw cut();
      if (!skipped) frames.push(bytes.subarray(at, end));
      at = end;
    } while (at < bytes.length);
  } catch (error) {
    // The view ends in the middle of a header.
    throw error instanceof RangeError ? cut(error) : error;
  }
  return frames;
}

function endOfFrame(view: DataView, start: number): number {
  const descriptor = view.getUint8(start + 4);
  const single = (descriptor & 0x20) !== 0;
  const windowBytes = single ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  let at = start + 5 + windowBytes + dictionaryBytes + sizeBytes;
  let last = false;
  while (!last) {
    const header = view.getUint16(at, true) | view.getUint8(at + 2) << 16;
    last = (header & 1) !== 0;
    const repeated = (header >> 1 & 3) === 1;
    at += 3 + (repeated ? 1 : header >> 3);
  }
  return at + checksumBytes;
}

function cut(cause?: Error): Error {
  return new Error("unexpected end of file", { cause });
}
