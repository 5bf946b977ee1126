/** Terms, granules and signatures: what is put in is found again. */

import fc from "fast-check";
import assert from "node:assert/strict";
import { GRANULE_ROWS, GRANULE_TERMS, Granules } from "../src/postgres/granules.ts";
import { JsonBuffer } from "../src/postgres/json_text.ts";
import {
  type KnownGranule,
  positionsOf,
  type Signature,
  signaturesOf,
  unitAt,
  UNITS,
} from "../src/postgres/signature.ts";
import {
  ANY_WORD,
  eachWord,
  keyTerm,
  numberTerm,
  textTerm,
  valueTerm,
} from "../src/postgres/terms.ts";
import { ownTexts } from "../src/query/own_values.ts";

const encoder = new TextEncoder();

function hash(text: string, seed: number): number {
  const bytes = encoder.encode(text);
  return textTerm(new DataView(bytes.buffer), 0, bytes.length, seed) >>> 0;
}

function words(text: string): number[] {
  const found: number[] = [];
  const bytes = encoder.encode(text);
  eachWord(bytes, 0, bytes.length, (term) => found.push(term));
  return found;
}

Deno.test("terms of values are MurmurHash3, which is stored and must never change", () => {
  assert.equal(hash("", 0), 0);
  assert.equal(hash("", 1), 0x514e28b7);
  assert.equal(hash("aaaa", 0x9747b28c), 0x5a97808a);
  assert.equal(hash("test", 0x9747b28c), 0x704b81dc);
  assert.equal(hash("Hello, world!", 0x9747b28c), 0x24884cba);
});

Deno.test("terms of keys, numbers and words are what they were when rows were stored", () => {
  assert.equal(keyTerm("http.route"), 886684561);
  assert.equal(numberTerm(42, keyTerm("n")), -973937800);
  assert.deepEqual(words("order 7f3a"), [1640259148, -736561000]);
});

Deno.test("numbers that are equal have one term, whether they were integers or not", () => {
  const key = keyTerm("n");
  assert.equal(valueTerm(0, key), valueTerm(-0, key));
  assert.notEqual(valueTerm("42", key), valueTerm(42, key));
  assert.equal(valueTerm(true, key), valueTerm("true", key));
  assert.equal(valueTerm([1], key), undefined);
});

Deno.test("words are runs of ASCII letters and digits in either case, and runs beyond ASCII", () => {
  assert.deepEqual(words("Order_7 FAILED"), words("(order_7/failed)"));
  assert.deepEqual(words("Müller"), words("ü|ller"));
  assert.deepEqual(words("ошибка: disk"), [...words("ошибка"), ...words("disk")]);
  assert.deepEqual(words("a - b"), []);
  assert.equal(new Set(words("disk disks dis")).size, 3);
});

Deno.test("a word within any text is found where its bounds are", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(text, text, fc.stringMatching(/^[a-zA-Z0-9_]{2,8}$/), (before, after, word) => {
      const bounded = `${before.replace(/\w$/, "-")}${word}${after.replace(/^\w/, "-")}`;
      assert.ok(words(bounded).includes(words(word)[0]!));
    }),
  );
});

const UNIT_BYTES = 24;

function unitCount(units: Uint8Array): number {
  return units.length / UNIT_BYTES;
}

/** The units of which a signature says that they may hold a term. */
function unitsWith({ units, sliceBytes, slices }: Signature, term: number): number[] {
  return Array.from({ length: unitCount(units) }, (_, n) => n).filter((n) =>
    positionsOf(term).every((position) =>
      (slices[position * sliceBytes + (n >> 3)]! >> (n & 7) & 1) === 1
    )
  );
}

const knownGranules: fc.Arbitrary<KnownGranule[]> = fc.array(
  fc.record({
    granule: fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    ),
    first: fc.bigInt({ min: -100n, max: 100n }),
    last: fc.bigInt({ min: 101n, max: 10n ** 16n }),
    terms: fc.oneof(
      fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 20 }),
      fc.integer({ min: 1000, max: 4000 }).map((length) =>
        Array.from({ length }, (_, n) => Math.imul(n, 0x9e3779b1 ^ length))
      ),
    ).map((terms) => Int32Array.from(terms)),
    longest: fc.constant(null),
  }),
  { minLength: 1, maxLength: 24 },
);

Deno.test("every term of every granule is found in the signatures, within its time", async () => {
  await fc.assert(
    fc.asyncProperty(knownGranules, async (granules) => {
      const signatures = await signaturesOf(granules);
      for (const { granule, first, last, terms } of granules) {
        for (const term of terms.subarray(0, 50)) {
          const found = signatures.some((signature) =>
            signature.first <= first && signature.last >= last &&
            unitsWith(signature, term).some((n) => {
              const unit = unitAt(signature.units, n);
              return unit.from <= granule && granule <= unit.to && unit.first <= first &&
                unit.last >= last;
            })
          );
          assert.ok(found, `${term} of ${granule}`);
        }
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("a signature has no more than its units, and few that do not hold a term say so", async () => {
  let seed = 1;
  const random = () => seed = Math.imul(seed, 0x5bd1e995) + 0x27d4eb2f | 0;
  const granules = Array.from({ length: UNITS + 10 }, (_, n) => ({
    granule: n + 1,
    first: 0n,
    last: 0n,
    terms: Int32Array.from({ length: GRANULE_TERMS }, random),
    longest: null,
  }));
  const signatures = await signaturesOf(granules);
  assert.deepEqual(signatures.map(({ units }) => unitCount(units)), [UNITS, 10]);
  let found = 0;
  for (let n = 0; n < 500; n++) found += unitsWith(signatures[0]!, random()).length;
  assert.ok(found < 500 * UNITS / 1_000, `${found} of ${500 * UNITS}`);
});

Deno.test("a granule ends with so many rows, and the next one has a higher number", () => {
  const granules = new Granules(() => Date.UTC(2026, 5, 1));
  const numbers: number[] = [];
  for (let n = 0; n < GRANULE_ROWS * 2 + 1; n++) {
    if (numbers.at(-1) !== granules.granule) numbers.push(granules.granule);
    granules.add(n);
    granules.finish(n);
  }
  const [first, second, third] = numbers;
  assert.deepEqual(numbers, [first, first! + 1, first! + 2]);
  assert.deepEqual(
    granules.take().map(({ granule, first, last, terms }) => [granule, first, last, terms.length]),
    [
      [first, 0, 1023, 1024],
      [second, 1024, 2047, 1024],
      [third, 2048, 2048, 1],
    ],
  );
});

Deno.test("a granule ends with so many terms, which count once in however many parts", () => {
  const granules = new Granules(() => Date.UTC(2026, 5, 1));
  const first = granules.granule;
  const half = (from: number) => Int32Array.from({ length: GRANULE_TERMS / 2 }, (_, n) => from + n);
  for (const terms of [half(1), half(1), half(1)]) {
    granules.addAll(terms);
    granules.finish(0);
    assert.equal(granules.granule, first);
    assert.equal(granules.take()[0]!.terms.length, GRANULE_TERMS / 2);
  }
  granules.addAll(half(1 + GRANULE_TERMS / 2));
  granules.finish(0);
  assert.equal(granules.granule, first + 1);
});

Deno.test("a granule is numbered by the clock, and by the one before where that goes back", () => {
  let now = Date.UTC(2026, 5, 1);
  const granules = new Granules(() => now);
  const next = () => {
    for (let n = 0; n < GRANULE_ROWS; n++) granules.finish(0);
    return granules.granule;
  };
  const first = granules.granule;
  now += 6_400;
  assert.equal(next(), first + 100);
  now -= 60_000;
  assert.equal(next(), first + 101);
});

Deno.test("the words of a log are those of its text as Postgres prints it", () => {
  const told = (json: string) => {
    const granules = new Granules();
    const bytes = encoder.encode(`..${json}..`);
    granules.addBody(bytes, 2, bytes.length - 2);
    granules.finish(0);
    return new Set(granules.take()[0]!.terms);
  };
  const of = (...texts: string[]) => new Set(texts.flatMap(words));
  assert.deepEqual(told('"disk full"'), of("disk full"));
  assert.deepEqual(told(String.raw`"disk\u000afull\"x\u000axy"`), of('disk\nfull"x\nxy'));
  assert.deepEqual(told('{"disk":["full",true,12.5]}'), of("disk full true 12.5"));
  // Within a structure it prints escapes, whose letters stand before what follows.
  assert.deepEqual(
    told(String.raw`{"a":"disk\u000afull \"\\u000a\u001f"}`),
    of(String.raw`{"a": "disk\nfull \"\\u000a\u001f"}`),
  );
  assert.deepEqual(told('{"much":1.5e+300}'), new Set([...of("much 5e 300"), ANY_WORD]));
});

Deno.test("terms without a row that was finished are not told", () => {
  const granules = new Granules();
  granules.add(1);
  assert.deepEqual(granules.take(), []);
});

Deno.test("a part of a granule has each term once, unless many came between", () => {
  const granules = new Granules();
  for (let n = 0; n < 1000; n++) granules.add(n % 10);
  granules.finish(0);
  // The term 0 is told each time.
  assert.equal(granules.take()[0]!.terms.length, 9 + 100);
});

Deno.test("what a value may be as a row's own text has what the writer writes", () => {
  const written = (value: number) => {
    const json = new JsonBuffer();
    json.double(value);
    return new TextDecoder().decode(json.bytes.subarray(0, json.at));
  };
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.oneof(finite, fc.constantFrom(0, -0, 1e21, 1e-7, 42, 0.1)), (value) => {
      assert.ok(ownTexts(String(value)).includes(written(value)));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      assert.ok(ownTexts(`${value}`).includes(`${value}`));
      assert.ok(ownTexts(`${value}.0`).includes(`${value}`));
      assert.ok(ownTexts(`${value}0e-1`).includes(`${value}`));
    }),
  );
});
