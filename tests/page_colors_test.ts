/** The colours of the page: those of the style sheet that is served, and those of services. */

import assert from "node:assert/strict";
import { page } from "../src/page_assets.ts";
import { browserTest } from "./browser.ts";
import { sendTraces, withCollector } from "./page_collector.ts";

type Palette = Readonly<Record<string, string>>;

const css = page.files.find(({ name }) => name.endsWith(".css"))!.text;
const THEMES: Readonly<Record<string, Palette>> = {
  light: paletteOf(":root"),
  dark: paletteOf('[data-theme="dark"]'),
};

/** The least contrast with the background, and with the worst of the surfaces text stands on. */
const CONTRASTS: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>> = {
  light: {
    text: [16.6, 13.5],
    muted: [6.4, 5.2],
    accent: [6.4, 5.2],
    error: [6.1, 5.0],
    warn: [6.3, 5.1],
    ok: [6.2, 5.0],
    control: [4.1, 3.3],
  },
  dark: {
    text: [15.4, 10.3],
    muted: [8.2, 5.4],
    accent: [8.3, 5.5],
    error: [7.4, 4.9],
    warn: [9.9, 6.6],
    ok: [9.2, 6.1],
    control: [5.2, 3.5],
  },
};
const SERVICES = Array.from({ length: 10 }, (_, n) => `c${n}`);

function paletteOf(selector: string): Palette {
  const [, block] = new RegExp(`${RegExp.escape(selector)}\\s*\\{([^}]*)\\}`).exec(css)!;
  return Object.fromEntries(
    [...block!.matchAll(/--([\w-]+):\s*(#\w+)/g)].map((one) => [one[1]!, one[2]!]),
  );
}

/** Linear light of red, green and blue, 0 to 1. */
function linear(hex: string): readonly [number, number, number] {
  const long = hex.length === 4 ? hex.replace(/\w/g, "$&$&") : hex;
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(long.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return [red!, green!, blue!];
}

/** As WCAG 2.2 defines it: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrast(one: string, other: string): number {
  const luminance = (hex: string) => {
    const [red, green, blue] = linear(hex);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark, bright] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (bright! + 0.05) / (dark! + 0.05);
}

/** A hundred times the distance in OKLab: https://bottosson.github.io/posts/oklab/ */
function distance(one: string, other: string): number {
  const lab = (hex: string) => {
    const [red, green, blue] = linear(hex);
    const l = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
    const m = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
    const s = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
    return [
      0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
      1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
      0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
    ];
  };
  const [a, b] = [lab(one), lab(other)];
  return 100 * Math.hypot(...a.map((value, at) => value - b[at]!));
}

for (const [theme, palette] of Object.entries(THEMES)) {
  Deno.test(`text and controls have their contrast on every surface, ${theme}`, () => {
    const surfaces = ["bg", "s1", "s2", "selected", "match"].map((name) => palette[name]!);
    for (const [name, [least, worst]] of Object.entries(CONTRASTS[theme]!)) {
      const all = surfaces.map((surface) => contrast(palette[name]!, surface));
      assert.ok(all[0]! >= least - 0.06, `${name}: ${all[0]}`);
      assert.ok(Math.min(...all) >= worst - 0.06, `${name}: ${all}`);
    }
    assert.ok(contrast(palette["on-accent"]!, palette.accent!) >= 4.5);
  });

  Deno.test(`the colours of services are seen, told apart, and none is that of errors, ${theme}`, () => {
    const [least, worst] = theme === "light" ? [3.6, 3.3] : [3.7, 3.4];
    for (const [at, name] of SERVICES.entries()) {
      const own = palette[name]!;
      assert.ok(contrast(own, palette.bg!) >= least - 0.06, name);
      assert.ok(contrast(own, palette.s1!) >= worst - 0.06, name);
      assert.ok(distance(own, palette.error!) >= 19, name);
      for (const other of SERVICES.slice(at + 1)) {
        const apart = distance(own, palette[other]!);
        assert.ok(apart >= 12, `${name} and ${other}: ${apart}`);
      }
    }
  });
}

browserTest(
  "ten services have ten colours, the eleventh has stripes, in both themes",
  async (open) => {
    await withCollector(async ({ url }) => {
      const send = (names: readonly string[]) =>
        sendTraces(url, names.map((service) => ({ service, operation: "GET /", durationMs: 5 })));
      const swatches = async (colorScheme: "light" | "dark", count: number) => {
        const page = await open(`${url}/services`, { colorScheme });
        const all = page.locator(".table .swatch");
        await all.nth(count - 1).waitFor();
        return await page.evaluate<[color: string, image: string][]>(
          `[...document.querySelectorAll(".table .swatch")].map((one) => {
          const { backgroundColor, backgroundImage } = getComputedStyle(one);
          return [backgroundColor, backgroundImage];
        })`,
        );
      };
      await send(Array.from({ length: 10 }, (_, n) => `service ${n}`));
      for (const theme of ["light", "dark"] as const) {
        const shown = await swatches(theme, 10);
        assert.deepEqual(new Set(shown.map(([color]) => color)).size, 10);
        assert.deepEqual(new Set(shown.map(([, image]) => image)), new Set(["none"]));
        const known = SERVICES.map((name) => rgbOf(THEMES[theme]![name]!)).sort();
        assert.deepEqual(shown.map(([color]) => color).sort(), known);
      }
      await send(["service 99"]);
      const striped = (await swatches("light", 11)).filter(([, image]) => image !== "none");
      assert.equal(striped.length, 1);
      assert.match(striped[0]![1], /^repeating-linear-gradient\(45deg/);
    });
  },
);

function rgbOf(hex: string): string {
  return `rgb(${[1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(", ")})`;
}
