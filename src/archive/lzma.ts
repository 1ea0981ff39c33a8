/**
 * The LZMA decoder behind xz's LZMA2 (the .xz specification 1.1; the LZMA SDK's lzma-specification).
 */
import { ArchiveFault } from "./fault.ts";
import type { Sink } from "./sink.ts";

const PROBABILITY_BITS = 11;
const HALF = 2 ** (PROBABILITY_BITS - 1);
const MOVE_BITS = 5;
const TOP = 2 ** 24;
const STATES = 12;
const POSITIONS = 16;
const LENGTH_STATES = 4;
const END_DISTANCES = 14;
const FULL_DISTANCES = 2 ** (END_DISTANCES >> 1);
const ALIGN_BITS = 4;
const MATCH_MIN = 2;

function damaged(what: string): ArchiveFault {
  return new ArchiveFault("E_COMPRESSION", `the xz data are damaged: ${what}`);
}

function probabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(HALF);
}

/** The range decoder over one chunk. */
class Range {
  readonly #raw: Uint8Array;
  readonly #end: number;
  #at: number;
  #range = 0xffffffff;
  #code = 0;

  constructor(raw: Uint8Array, at: number, end: number) {
    this.#raw = raw;
    this.#at = at + 1;
    this.#end = end;
    for (let index = 0; index < 4; index++) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  #next(): number {
    if (this.#at >= this.#end) throw damaged("a chunk ends too early");
    return this.#raw[this.#at++] as number;
  }

  #normalize(): void {
    if (this.#range >= TOP) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  bit(model: Uint16Array, at: number): number {
    const probability = model[at] as number;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    let bit = 0;
    if (this.#code < bound) {
      model[at] = probability + ((2 ** PROBABILITY_BITS - probability) >> MOVE_BITS);
      this.#range = bound;
    } else {
      model[at] = probability - (probability >> MOVE_BITS);
      this.#code -= bound;
      this.#range -= bound;
      bit = 1;
    }
    this.#normalize();
    return bit;
  }

  /** Bits that are as likely as not. */
  direct(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
      this.#normalize();
    }
    return value;
  }

  tree(model: Uint16Array, bits: number, at = 0): number {
    let node = 1;
    for (let index = 0; index < bits; index++) node = 2 * node + this.bit(model, at + node);
    return node - 2 ** bits;
  }

  /** A tree whose lowest bit comes first. */
  reverseTree(model: Uint16Array, bits: number, at = 0): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < bits; index++) {
      const bit = this.bit(model, at + node);
      node = 2 * node + bit;
      value |= bit << index;
    }
    return value;
  }
}

/** How lengths are told. */
class Lengths {
  readonly #choice = probabilities(2);
  readonly #low = probabilities(POSITIONS << 3);
  readonly #middle = probabilities(POSITIONS << 3);
  readonly #high = probabilities(2 ** 8);

  read(range: Range, position: number): number {
    if (range.bit(this.#choice, 0) === 0) return range.tree(this.#low, 3, position << 3);
    if (range.bit(this.#choice, 1) === 0) return 8 + range.tree(this.#middle, 3, position << 3);
    return 16 + range.tree(this.#high, 8);
  }
}

/** Literal context bits, literal position bits, position bits. */
export interface Properties {
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
}

/** What one byte says of them. @throws ArchiveFault */
export function propertiesOf(byte: number): Properties {
  const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)];
  if (byte >= 225 || lc + lp > 4) throw damaged("properties that cannot be");
  return { lc, lp, pb };
}

/** The model, which chunks may go on with. */
export class Lzma {
  readonly properties: Properties;
  readonly #isMatch = probabilities(STATES * POSITIONS);
  readonly #isRep = probabilities(STATES);
  readonly #isRep0 = probabilities(STATES);
  readonly #isRep1 = probabilities(STATES);
  readonly #isRep2 = probabilities(STATES);
  readonly #isRep0Long = probabilities(STATES * POSITIONS);
  readonly #slots = probabilities(LENGTH_STATES << 6);
  readonly #special = probabilities(FULL_DISTANCES);
  readonly #align = probabilities(2 ** ALIGN_BITS);
  readonly #matches = new Lengths();
  readonly #repeats = new Lengths();
  readonly #literals: Uint16Array;
  #state = 0;
  #recent: [number, number, number, number] = [1, 1, 1, 1];

  constructor(properties: Properties) {
    this.properties = properties;
    this.#literals = probabilities(0x300 << (properties.lc + properties.lp));
  }

  /** Puts out so many bytes. @param from - where the chunk lies in `raw`, up to `end` */
  decode(
    sink: Sink,
    chunk: { readonly raw: Uint8Array; readonly from: number; readonly end: number; readonly size: number },
  ): void {
    const range = new Range(chunk.raw, chunk.from, chunk.end);
    const until = sink.total + chunk.size;
    const positions = 2 ** this.properties.pb - 1;
    while (sink.total < until) {
      const position = sink.total & positions;
      if (range.bit(this.#isMatch, (this.#state << 4) + position) === 0) this.#literal(range, sink);
      else {
        const length = range.bit(this.#isRep, this.#state) === 0 ? this.#match(range, position) : this.#again(range, position);
        if (sink.total + length > until) throw damaged("a match beyond its chunk");
        sink.repeat(this.#recent[0], length);
      }
    }
  }

  #literal(range: Range, sink: Sink): void {
    const { lc, lp } = this.properties;
    const before = sink.total === 0 ? 0 : sink.back(1);
    const place = ((sink.total & (2 ** lp - 1)) << lc) + (before >>> (8 - lc));
    const at = 0x300 * place;
    let symbol = 1;
    if (this.#state >= 7) {
      // Behind a match the byte that would have gone on with it tells much of this one.
      for (let matched = sink.back(this.#recent[0]); symbol < 0x100; ) {
        const hint = (matched >>> 7) & 1;
        matched <<= 1;
        const bit = range.bit(this.#literals, at + ((1 + hint) << 8) + symbol);
        symbol = 2 * symbol + bit;
        if (hint !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = 2 * symbol + range.bit(this.#literals, at + symbol);
    sink.put(symbol & 0xff);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** A match at a new distance. @returns its length */
  #match(range: Range, position: number): number {
    const length = this.#matches.read(range, position);
    this.#state = this.#state < 7 ? 7 : 10;
    this.#recent = [this.#distance(range, length), this.#recent[0], this.#recent[1], this.#recent[2]];
    return length + MATCH_MIN;
  }

  #distance(range: Range, length: number): number {
    const slot = range.tree(this.#slots, 6, Math.min(length, LENGTH_STATES - 1) << 6);
    if (slot < 4) return slot + 1;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < END_DISTANCES) return 1 + base + range.reverseTree(this.#special, bits, base - slot);
    return 1 + base + range.direct(bits - ALIGN_BITS) * 2 ** ALIGN_BITS + range.reverseTree(this.#align, ALIGN_BITS);
  }

  /** A match at a distance that was used before. @returns its length */
  #again(range: Range, position: number): number {
    const [one, two, three, four] = this.#recent;
    const state = this.#state;
    if (range.bit(this.#isRep0, state) === 0) {
      if (range.bit(this.#isRep0Long, (state << 4) + position) === 0) {
        this.#state = state < 7 ? 9 : 11;
        return 1;
      }
    } else if (range.bit(this.#isRep1, state) === 0) this.#recent = [two, one, three, four];
    else if (range.bit(this.#isRep2, state) === 0) this.#recent = [three, one, two, four];
    else this.#recent = [four, one, two, three];
    const length = this.#repeats.read(range, position);
    this.#state = state < 7 ? 8 : 11;
    return length + MATCH_MIN;
  }
}
