/** A dialog over the page. */

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** The dialog, as long as it is there. */
export function Dialog(
  { label, close, children }: {
    readonly label: string;
    /** Undefined when it cannot be closed. */
    readonly close?: () => void;
    readonly children: ComponentChildren;
  },
): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current!;
    element.showModal();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        close?.();
      }}
      // Browsers let nobody be kept in a dialog by `cancel` alone: it closes at the second Escape.
      onClose={({ currentTarget }) => {
        if (!currentTarget.isConnected) return;
        if (close) close();
        else currentTarget.showModal();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) close?.();
      }}
    >
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}
