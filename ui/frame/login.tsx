/** Asks for the token, once a browser. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { ApiError, needsToken, post } from "./api.ts";
import { Dialog } from "./dialog.tsx";

/** The form, when the token is needed. */
export function Login(): JSX.Element | null {
  const wrong = useSignal("");
  if (!needsToken.value) return null;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    try {
      await post("/api/login", { token: String(fields.get("token")) });
      wrong.value = "";
      needsToken.value = false;
    } catch (error) {
      const isWrong = error instanceof ApiError && error.status === 401;
      wrong.value = isWrong ? "This is not the token of the collector." : String(error);
    }
  };
  return (
    <Dialog label="Token">
      <form class="login" onSubmit={submit}>
        <h2>Token</h2>
        <p>
          The collector was started with a token. It is kept by this browser as a cookie that pages
          cannot read, for 30 days.
        </p>
        <label>
          Token <input type="password" name="token" autocomplete="current-password" required />
        </label>
        {wrong.value && <p role="alert" class="error">{wrong.value}</p>}
        <button type="submit" class="primary">Show the page</button>
      </form>
    </Dialog>
  );
}
