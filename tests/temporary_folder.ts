/**
 * A folder that goes with the test.
 *
 * @module
 */

/** A folder. Disposing removes it with all that is in it. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes one. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-test-" });
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

/** Tries to remove a folder for so long, in ms, while somebody writes into it. */
const WRITTEN_MS = 5_000;
const AGAIN_MS = 10;

/**
 * Removes a folder with all that is in it. A worker that was ended may still be writing its last file:
 * nobody is told when its thread has gone.
 */
export async function removeFolder(path: string): Promise<void> {
  for (const late = performance.now() + WRITTEN_MS;;) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      const isWritten = /not empty/i.test((error as Error).message);
      if (!isWritten || performance.now() > late) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
