/** Does something again and again while somebody looks. */

import { useEffect, useRef } from "preact/hooks";

/** Acts every so many milliseconds as long as the component is there and the page is in sight. */
export function useRepeat(everyMs: number, act: () => void): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}
