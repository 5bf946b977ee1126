/** The longest durations of services: none is shorter than that of a span. */

import fc from "fast-check";
import assert from "node:assert/strict";
import {
  type Longest,
  longestInRows,
  longestOf,
  LongestOfServices,
  longestOfUnits,
  MAX_SERVICES,
  MAX_SIGNATURE_SERVICES,
  putLongest,
} from "../src/postgres/longest.ts";

interface Span {
  readonly service: bigint;
  readonly duration: bigint;
}

const halves = (value: bigint) => [Number(value & 0xffffffffn), Number(value >> 32n)] as const;

function gathered(spans: readonly Span[], into = new LongestOfServices()): Longest {
  for (const { service, duration } of spans) {
    // Ids come in signed halves, durations with an unsigned lower one.
    const [lo, hi] = halves(service);
    into.add(lo | 0, hi | 0, ...halves(duration));
  }
  return into.take();
}

function stored(longest: Longest): Uint8Array {
  const view = new DataView(new ArrayBuffer(longest.length * 4));
  putLongest(view, 0, longest);
  return new Uint8Array(view.buffer);
}

/** By a look at every span. */
function truth(spans: readonly Span[], services?: readonly bigint[]): bigint | undefined {
  return spans.filter(({ service }) => services?.includes(service) ?? true)
    .map(({ duration }) => duration)
    .reduce<bigint | undefined>((a, b) => a !== undefined && a > b ? a : b, undefined);
}

const LOW = -(2n ** 63n);
/** Services of which some begin at one place; 0 is none. */
const SERVICES = [0n, 1n, 513n, 1025n, 1n << 32n, -1n << 40n, 7n << 60n, -2n];
const spans = fc.array(
  fc.record({
    service: fc.constantFrom(...SERVICES),
    duration: fc.oneof(
      fc.bigInt({ min: LOW + 1n, max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -3n, max: 3n }),
      fc.bigInt({ min: 2n ** 32n - 3n, max: 2n ** 32n + 3n }),
      fc.constantFrom(2n ** 63n - 1n, LOW + 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n),
    ),
  }),
  { minLength: 1, maxLength: 40 },
);

Deno.test("of services that are told apart the longest duration is exact", () => {
  fc.assert(
    fc.property(fc.array(spans, { minLength: 1, maxLength: 4 }), (parts) => {
      const all = parts.flat();
      const once = new LongestOfServices();
      const merged = new LongestOfServices();
      // What one part has is not in the next one.
      for (const part of parts) merged.addAll(gathered(part, once));
      for (const bytes of [stored(merged.take()), stored(gathered(all))]) {
        assert.equal(longestOf(bytes), truth(all));
        for (const service of SERVICES) {
          assert.equal(longestOf(bytes, [service]), truth(all, [service]));
        }
        assert.equal(longestOf(bytes, [1n, 513n]), truth(all, [1n, 513n]));
        assert.equal(longestOf(bytes, []), undefined);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("the shortest duration there is counts as one", () => {
  const bytes = stored(gathered([{ service: 1n, duration: LOW }]));
  assert.equal(longestOf(bytes), LOW + 1n);
  assert.equal(longestOf(bytes, [2n]), undefined);
  assert.deepEqual(gathered([]), new Int32Array());
});

/** Of each so many services a span, the later the longer. */
function crowd(count: number, from = 1): Span[] {
  return Array.from({ length: count }, (_, n) => ({
    service: BigInt.asIntN(64, BigInt(from + n) * 0x9e3779b97f4a7c15n),
    duration: BigInt(from + n),
  }));
}

Deno.test("of services beyond those that are told apart none is too short, and all is exact", () => {
  const services = crowd(MAX_SERVICES + 40);
  const longest = gathered(services);
  assert.equal(longest.length, (MAX_SERVICES + 1) * 4);
  const again = new LongestOfServices();
  // In another order others are told apart.
  again.addAll(gathered(services.toReversed()));
  again.addAll(longest);
  for (const bytes of [stored(longest), stored(again.take())]) {
    assert.equal(bytes.length, (MAX_SERVICES + 1) * 16);
    assert.equal(longestOf(bytes), BigInt(services.length));
    for (const { service, duration } of services) {
      assert.ok(longestOf(bytes, [service])! >= duration);
    }
  }
  // As many as can be told apart are.
  const exact = stored(gathered(services.slice(0, MAX_SERVICES)));
  assert.equal(longestOf(exact, [services[3]!.service]), 4n);
  assert.equal(longestOf(exact, [77n]), undefined);
});

/** The longest of one service in a unit, as a search reads it. */
function inRows(
  { services, durations }: NonNullable<ReturnType<typeof longestOfUnits>>,
  units: number,
  unit: number,
  service?: bigint,
): bigint | undefined {
  // One that it does not tell apart has the second row.
  const row = service === undefined ? 0 : Math.max(1, services.indexOf(service) + 2);
  return longestInRows(durations, units, unit, row, row + 1);
}

Deno.test("a signature has the longest of each service in each unit", () => {
  const units = fc.array(fc.array(spans, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(units, (units) => {
      const known = longestOfUnits(
        units.map((parts) => parts.map((part) => stored(gathered(part)))),
      )!;
      assert.ok(!known.services.includes(0n));
      for (const [n, parts] of units.entries()) {
        assert.equal(inRows(known, units.length, n), truth(parts.flat()));
        for (const service of SERVICES.slice(1)) {
          assert.equal(inRows(known, units.length, n, service), truth(parts.flat(), [service]));
        }
      }
      const two = longestInRows(known.durations, units.length, 0, 0, 2);
      assert.equal(two, truth(units[0]!.flat()));
    }),
    { numRuns: 100 },
  );
});

Deno.test("what is not known of a unit may be anything, and is nothing where all is unknown", () => {
  assert.equal(longestOfUnits([[null], [null, null]]), undefined);
  const part = stored(gathered([{ service: 5n, duration: 9n }]));
  const known = longestOfUnits([[part], [part, null], [null]])!;
  assert.deepEqual(known.services, [5n]);
  for (const service of [undefined, 5n, 6n]) {
    assert.equal(inRows(known, 3, 0, service), service === 6n ? undefined : 9n);
    for (const unit of [1, 2]) assert.equal(inRows(known, 3, unit, service), 2n ** 63n - 1n);
  }
});

Deno.test("of services beyond those of a signature none is too short", () => {
  const parts = [0, 200, 400, 600].map((from) => crowd(200, from + 1));
  const known = longestOfUnits(parts.map((part) => [stored(gathered(part))]))!;
  assert.equal(known.services.length, MAX_SIGNATURE_SERVICES);
  for (const [n, part] of parts.entries()) {
    assert.equal(inRows(known, parts.length, n), truth(part));
    for (const { service, duration } of part) {
      assert.ok(inRows(known, parts.length, n, service)! >= duration);
    }
  }
  // Of the first units all services are told apart, and no other one is in them.
  assert.equal(inRows(known, parts.length, 0, parts[1]![0]!.service), undefined);
});
