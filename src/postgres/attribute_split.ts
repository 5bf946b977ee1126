/**
 * Which attributes of a service take few values, learned from what it sends.
 *
 * Keys whose values repeat are shared: their values go into an attribute set, which is stored once.
 * All others are a record's own. A key begins as own; once it has been seen often enough with few
 * enough values it is shared, and should it take too many later, it is own again until everything is
 * forgotten. Nothing that is read back depends on the choice: it only decides what is small and fast.
 *
 * What guards against many keys of few values each, whose combinations are many, is an allowance of
 * new sets that grows with the records of a service. Where it is used up, keys become own, those of
 * the most values first.
 *
 * @module
 */

import { keyTerm } from "./terms.ts";

/** Values a shared key may take. */
export const MAX_VALUES = 64;
/** Sightings that decide, when each value has been seen {@linkcode REPEATS} times on average. */
const SIGHTINGS = 128;
const REPEATS = 4;
/** Longer values, in bytes of OTLP, are never shared. */
export const MAX_SHARED_BYTES = 255;

/** Services that are told apart. All others have no shared keys. */
const MAX_SERVICES = 4_096;
/** Keys that are learned of one service, and of all. */
const MAX_SERVICE_KEYS = 256;
const MAX_KEYS = 32_768;

/** New sets a service may make at once, and one more for so many records. */
const ALLOWANCE = 4_096;
const RECORDS_PER_SET = 64;
/** More of them when a key has become own, because the sets without it are new. */
const ALLOWANCE_PER_KEY = 128;

const NONE = new Int32Array(0);

/** A key of a service. */
export class AttributeKey {
  /** Its name, as Postgres can hold it. */
  readonly name: string;
  /** What its values are found by, together with each of them. */
  readonly term: number;
  /** Whether its values go into the set. */
  isShared = false;
  /** Whether sightings can still make it shared. */
  isLearning: boolean;
  #seen = 0;
  /** Hashes of the values seen so far. */
  #values = NONE;
  #distinct = 0;

  constructor(name: string, isLearning: boolean) {
    this.name = name;
    this.term = keyTerm(name);
    this.isLearning = isLearning;
  }

  /** How many values it has taken, as long as that matters. */
  get distinct(): number {
    return this.#distinct;
  }

  /** Counts a value of a key that is learning; says whether it is shared from now on. */
  learn(hash: number, bytes: number): boolean {
    if (!this.accepts(hash, bytes)) return false;
    if (++this.#seen < SIGHTINGS || this.#seen < this.#distinct * REPEATS) return false;
    this.isShared = true;
    this.isLearning = false;
    return true;
  }

  /** Whether it can be shared with that value, too; if not, it is a record's own from now on. */
  accepts(hash: number, bytes: number): boolean {
    if (bytes <= MAX_SHARED_BYTES) {
      const values = this.#values;
      const distinct = this.#distinct;
      for (let n = 0; n < distinct; n++) if (values[n] === hash) return true;
      if (distinct < MAX_VALUES) {
        if (distinct === values.length) {
          this.#values = new Int32Array(Math.max(4, distinct * 2));
          this.#values.set(values);
        }
        this.#values[this.#distinct++] = hash;
        return true;
      }
    }
    this.giveUp();
    return false;
  }

  /** Makes it a record's own for good. */
  giveUp(): void {
    this.isShared = false;
    this.isLearning = false;
    this.#values = NONE;
    this.#distinct = 0;
  }
}

/** What is learned of one service. */
export class ServiceSplit {
  /** Told apart from those of other services. */
  readonly number: number;
  /** Changes when a key becomes shared or own. */
  version = 0;
  /** Records seen. */
  records = 0;
  readonly #keys = new Map<string, AttributeKey>();
  readonly #admit: () => boolean;
  #allowance = ALLOWANCE;

  /** @param admit Asked before a further key is learned. */
  constructor(number: number, admit: () => boolean) {
    this.number = number;
    this.#admit = admit;
  }

  /** The key of that name. */
  key(name: string): AttributeKey {
    let key = this.#keys.get(name);
    if (key === undefined) {
      const isLearning = this.#keys.size < MAX_SERVICE_KEYS && this.#admit();
      key = new AttributeKey(name, isLearning);
      if (isLearning) this.#keys.set(name, key);
    }
    return key;
  }

  /**
   * Asks for one more set.
   *
   * @param shared The keys whose values would be in it.
   * @returns Whether it may be made. If not and `version` has changed, one of the keys is own now, and
   * the set is another one.
   */
  allows(shared: readonly AttributeKey[]): boolean {
    if (this.#allowance + this.records / RECORDS_PER_SET >= 1) {
      this.#allowance--;
      return true;
    }
    let most = shared[0];
    for (const key of shared) if (key.distinct > most!.distinct) most = key;
    if (most !== undefined && most.distinct > 1) {
      most.giveUp();
      this.version++;
      this.#allowance += ALLOWANCE_PER_KEY;
    }
    return false;
  }
}

/** What is learned of all services. */
export class AttributeSplit {
  readonly #services = new Map<object | undefined, ServiceSplit>();
  readonly #others = new ServiceSplit(0, () => false);
  #keys = 0;
  #last: object | undefined;
  #lastSplit: ServiceSplit | undefined;

  /** What is learned of a service, by the identity of what stands for it; of records without one. */
  of(service: object | undefined): ServiceSplit {
    if (service === this.#last && this.#lastSplit !== undefined) return this.#lastSplit;
    let split = this.#services.get(service);
    if (split === undefined) {
      if (this.#services.size >= MAX_SERVICES) split = this.#others;
      else {
        split = new ServiceSplit(this.#services.size + 1, () => this.#keys++ < MAX_KEYS);
        this.#services.set(service, split);
      }
    }
    this.#last = service;
    this.#lastSplit = split;
    return split;
  }

  /** Forgets all of it: learning begins anew. */
  forget(): void {
    this.#services.clear();
    this.#keys = 0;
    this.#lastSplit = undefined;
  }
}
