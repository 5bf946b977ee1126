/** The bar at the top: pages, range, zone, theme, help. */

import type { JSX } from "preact";
import { Copy, copyText } from "./copy.tsx";
import { zone } from "./format.ts";
import { showsHelp } from "./help.tsx";
import { Icon } from "./icons.tsx";
import { useKeys } from "./keys.ts";
import { LiveDot } from "./live_dot.tsx";
import { go, here, withParameters } from "./location.ts";
import { fixedRange, range, refreshes } from "./range.ts";
import { RangeMenu } from "./range_menu.tsx";
import { currentTab, TABS } from "./routes.ts";
import { theme, toggleTheme } from "./theme.ts";

/** The bar. */
export function TopBar(): JSX.Element {
  useKeys([
    ...TABS.map(({ path, name, key }) => ({
      key: `g ${key}`,
      about: `Go to ${name}`,
      act: () => go(withParameters(path, {})),
    })),
    { key: "r", about: "Refresh", act: refresh },
    { key: "y", about: "Copy the link", act: () => void copyText(here.value.href) },
  ]);
  return (
    <header class="top-bar">
      <nav aria-label="Pages">
        {TABS.map((tab) => (
          <a
            key={tab.path}
            href={withParameters(tab.path, {})}
            aria-current={currentTab.value === tab ? "page" : undefined}
          >
            {tab.name}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <RangeMenu />
      <span class="muted zone" title="All times are in this zone; titles give UTC">{zone()}</span>
      <LiveDot />
      <span class="wide-only">
        <Copy text={absoluteLink} label="Copy absolute link" />
      </span>
      <IconButton label="Refresh (r)" icon="refresh" act={refresh} />
      <IconButton
        label={theme.value === "dark" ? "Light colours" : "Dark colours"}
        icon={theme.value === "dark" ? "sun" : "moon"}
        act={toggleTheme}
      />
      <button
        type="button"
        class="quiet"
        aria-label="Keys and help (?)"
        title="Keys and help (?)"
        onClick={() => showsHelp.value = true}
      >
        ?
      </button>
    </header>
  );
}

function IconButton(
  { label, icon, act }: {
    readonly label: string;
    readonly icon: "refresh" | "sun" | "moon";
    readonly act: () => void;
  },
): JSX.Element {
  return (
    <button type="button" class="quiet" aria-label={label} title={label} onClick={act}>
      <Icon name={icon} />
    </button>
  );
}

function refresh(): void {
  refreshes.value++;
}

/** The address with its range as two times, which mean the same tomorrow. */
function absoluteLink(): string {
  const { pathname, searchParams, origin } = here.value;
  return origin + withParameters(pathname, { ...fixedRange(range.value) }, searchParams);
}
