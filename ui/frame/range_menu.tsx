/** The time range: what is chosen, and what else can be. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { time, zone } from "./format.ts";
import { useKeys } from "./keys.ts";
import { CHOICES, nanosOf, range, rangeMs, rangeName, setRange } from "./range.ts";

/** The button and its menu. */
export function RangeMenu(): JSX.Element {
  const isOpen = useSignal(false);
  const menu = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    isOpen.value = false;
    button.current?.focus();
  };
  useKeys([{ key: "t", about: "Time range", act: () => isOpen.value = true }]);
  useEffect(() => {
    if (!isOpen.value) return;
    menu.current!.querySelector<HTMLElement>("[aria-checked=true], input")?.focus();
    const outside = (event: MouseEvent) => {
      if (!menu.current?.parentElement?.contains(event.target as Node)) isOpen.value = false;
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen.value]);
  const now = range.value;
  const [fromMs, toMs] = rangeMs(now);
  const text = rangeName(now);
  return (
    <div class="menu-place">
      <button
        ref={button}
        type="button"
        aria-expanded={isOpen.value}
        aria-haspopup="true"
        onClick={() => isOpen.value = !isOpen.value}
        title={`${time(nanosOf(fromMs), 0)} to ${time(nanosOf(toMs), 0)} ${zone()}`}
      >
        {text === "Custom" ? timesText(fromMs, toMs) : text}
      </button>
      {isOpen.value && (
        <div
          ref={menu}
          class="menu"
          role="group"
          aria-label="Time range"
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            event.stopPropagation();
            close();
          }}
        >
          <div class="range-choices" role="radiogroup" aria-label="Up to now">
            {CHOICES.map((since) => (
              <button
                key={since}
                type="button"
                role="radio"
                aria-checked={now.since === since && now.until === ""}
                onClick={() => {
                  setRange({ since, until: "" });
                  close();
                }}
              >
                {rangeName({ since, until: "" })}
              </button>
            ))}
          </div>
          <CustomRange fromMs={fromMs} toMs={toMs} close={close} />
        </div>
      )}
    </div>
  );
}

/** Two times as they are read; the day once when it is one. */
function timesText(fromMs: number, toMs: number): string {
  const [from, to] = [time(nanosOf(fromMs), 0), time(nanosOf(toMs), 0)];
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`;
}

/** Two times to type. */
function CustomRange(
  { fromMs, toMs, close }: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly close: () => void;
  },
): JSX.Element {
  const wrong = useSignal("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const from = Date.parse(String(fields.get("from")));
    const to = Date.parse(String(fields.get("to")));
    if (!(from < to)) {
      wrong.value = "The first time has to be before the second.";
      return;
    }
    setRange({ since: nanosOf(from), until: nanosOf(to) });
    close();
  };
  return (
    <form class="range-custom" onSubmit={submit}>
      <label>
        From <input type="datetime-local" name="from" step="1" required value={local(fromMs)} />
      </label>
      <label>
        To <input type="datetime-local" name="to" step="1" required value={local(toMs)} />
      </label>
      <p class="muted">Times are in {zone()}.</p>
      {wrong.value && <p role="alert" class="error">{wrong.value}</p>}
      <button type="submit" class="primary">Show</button>
    </form>
  );
}

function local(ms: number): string {
  return time(nanosOf(ms), 0).replace(" ", "T");
}
