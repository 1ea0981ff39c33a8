/**
 * Bytes without the bytes: an immutable sequence described by runs, so that a terabyte of pattern costs one object.
 *
 * A Content is one run or a rope of runs:
 * - zero: a hole or zeros; the two read alike, and which of them a file has is its block map's business;
 * - pattern: incompressible bytes that are a function of a seed and a position, so that a slice stays one run;
 * - repeat: a short unit over and over;
 * - literal: given bytes, held by reference: whoever makes one hands the array over and writes it no more;
 * - source: bytes that lie elsewhere (a file of the machine) and are fetched when somebody asks for them;
 * - record: an immutable metadata block (record.kind tells whose) that a filesystem reads back as the object it wrote (`wholeRecord`), or knows a
 *   part of (`recordPart`), such as a torn write leaves.
 *
 * Interface: `slice` and `concat` are O(runs touched); nothing is ever copied until `copyTo`, `toBytes` or a digest asks.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { assert, InvariantError } from "./assert.ts";
import { type BlockRecord, blockIn, encodeRecord } from "./block-record.ts";
import { type ByteSource, copyBytes, patternInto, repeatInto, sameBytes } from "./content-bytes.ts";

/** The kinds of run, as `Content.kind` tells them. */
export type ContentKind = "zero" | "pattern" | "repeat" | "literal" | "source" | "record" | "rope";

interface Rope {
  readonly parts: readonly Content[];
  /** starts[n] is where parts[n] begins. */
  readonly starts: readonly number[];
}

/** What a run's bytes come from. */
type Source = Uint8Array | Rope | BlockRecord | ByteSource;

/** Digests of described bytes: seven drivers read the same file. */
const digests = new Map<string, string>();
const DIGESTS_MAX = 1000;

/** Digests and comparisons take this much at a time. */
const CHUNK = 65_536;
const EMPTY_BYTES = new Uint8Array(0);
// A hundred thousand small files should not be as many arrays; a page has one of its own, since copying a whole array needs no view of a part.
/** Copies up to this many bytes share an array. */
const SHARED_COPY_MAX = 4095;
/** The length of a shared array: what a single small copy can keep from being collected. */
const SHARED_LENGTH = 32_768;

// Hosts hold them by the million: one field for every kind of source, and no private method, of which V8 keeps a mark in each object.
export class Content {
  readonly kind: ContentKind;
  /** Bytes. */
  readonly length: number;
  /** Where in the source this run begins: the pattern's position, the unit's phase, an index into the literal or the record. */
  readonly #offset: number;
  readonly #seed: number;
  /** What the bytes come from, if the kind has something: the literal, the unit, the rope, the source or the record. */
  readonly #from: Source | undefined;

  private constructor(kind: ContentKind, length: number, offset: number, seed: number, from?: Source) {
    this.kind = kind;
    this.length = length;
    this.#offset = offset;
    this.#seed = seed;
    this.#from = from;
  }

  /** The sequence of no bytes. */
  static readonly empty: Content = new Content("zero", 0, 0, 0);

  /** `length` zero bytes. */
  static zeros(length: number): Content {
    return length === 0 ? Content.empty : new Content("zero", length, 0, 0);
  }

  /** `length` bytes of the pattern of `seed` (a whole number, 32 bits of it count), from position `offset` on. */
  static pattern(seed: number, length: number, offset = 0): Content {
    return length === 0 ? Content.empty : new Content("pattern", length, offset, seed | 0);
  }

  /** `unit` over and over, `length` bytes in all, beginning `phase` bytes into the unit. A unit of zeros gives a zero run. */
  static repeat(unit: Uint8Array, length: number, phase = 0): Content {
    if (length === 0) return Content.empty;
    assert(unit.length > 0, "nothing to repeat");
    if (unit.every((byte) => byte === 0)) return Content.zeros(length);
    return new Content("repeat", length, phase % unit.length, 0, unit);
  }

  /** The given bytes, or those from one place up to another, by reference: the caller hands them over. */
  static literal(raw: Uint8Array, from = 0, to: number = raw.length): Content {
    return from === to ? Content.empty : new Content("literal", to - from, from, 0, raw);
  }

  /** The UTF-8 bytes of a text. */
  static text(text: string): Content {
    return Content.literal(new TextEncoder().encode(text));
  }

  /** All the bytes of a source, by reference. */
  static source(source: ByteSource): Content {
    return source.length === 0 ? Content.empty : new Content("source", source.length, 0, 0, source);
  }

  /** A metadata block, whole, or the bytes of it from one place up to another. */
  static record(record: BlockRecord, from = 0, to: number = record.length): Content {
    return new Content("record", to - from, from, 0, record);
  }

  /**
   * A copy of bytes that the caller keeps, as cheap to hold as they allow: zeros and one repeated byte become runs.
   * O(length), with an early end for bytes that do not repeat.
   */
  static copyOf(raw: Uint8Array, start = 0, end: number = raw.length): Content {
    const length = end - start;
    if (length === 0) return Content.empty;
    const first = raw[start] as number;
    let same = start + 1;
    while (same < end && raw[same] === first) same += 1;
    if (same < end || length < 64) return Content.#literalCopy(raw, start, length);
    return first === 0 ? Content.zeros(length) : new Content("repeat", length, 0, 0, Uint8Array.of(first));
  }

  /** The array that small copies are put into, one after the other, and how much of it is used. */
  static #shared: Uint8Array = EMPTY_BYTES;
  static #sharedUsed = 0;

  static #literalCopy(raw: Uint8Array, start: number, length: number): Content {
    if (length > SHARED_COPY_MAX) return Content.literal(raw.slice(start, start + length));
    if (Content.#sharedUsed + length > Content.#shared.length) {
      Content.#shared = new Uint8Array(SHARED_LENGTH);
      Content.#sharedUsed = 0;
    }
    const at = Content.#sharedUsed;
    Content.#sharedUsed = at + length;
    copyBytes(raw, start, { target: Content.#shared, at, length });
    return new Content("literal", length, at, 0, Content.#shared);
  }

  /** The parts one after the other. Neighbours that continue one run become one. */
  static concat(parts: readonly Content[]): Content {
    const only = parts[0];
    if (parts.length === 1 && only !== undefined) return only;
    const flat: Content[] = [];
    for (const part of parts) {
      if (part.kind === "rope") for (const inner of (part.#from as Rope).parts) appendRun(flat, inner);
      else if (part.length > 0) appendRun(flat, part);
    }
    const first = flat[0];
    if (first === undefined) return Content.empty;
    if (flat.length === 1) return first;
    const starts: number[] = [];
    let length = 0;
    for (const part of flat) {
      starts.push(length);
      length += part.length;
    }
    return new Content("rope", length, 0, 0, { parts: flat, starts });
  }

  /** The bytes from `start` up to `end`; both are clamped to the sequence. The whole gives the same object. */
  slice(start: number, end: number = this.length): Content {
    const from = Math.max(0, start);
    const to = Math.min(this.length, end);
    if (from === 0 && to === this.length) return this;
    if (to <= from) return Content.empty;
    switch (this.kind) {
      case "zero":
        return Content.zeros(to - from);
      case "rope":
        return sliceRope(this.#from as Rope, from, to);
      case "repeat":
        return new Content("repeat", to - from, (this.#offset + from) % (this.#from as Uint8Array).length, 0, this.#from);
      default:
        return new Content(this.kind, to - from, this.#offset + from, this.#seed, this.#from);
    }
  }

  /** The runs in order: this one itself, or a rope's parts. */
  get runs(): readonly Content[] {
    if (this.kind === "rope") return (this.#from as Rope).parts;
    return this.length === 0 ? [] : [this];
  }

  /** Whether `next` goes on exactly where this run ends, in the same source. */
  continuesInto(next: Content): boolean {
    if (this.kind !== next.kind) return false;
    switch (this.kind) {
      case "zero":
        return true;
      case "pattern":
        return this.#seed === next.#seed && this.#offset + this.length === next.#offset;
      case "repeat":
        return this.#from === next.#from && (this.#offset + this.length) % (this.#from as Uint8Array).length === next.#offset;
      case "literal":
      case "record":
      case "source":
        return this.#from === next.#from && this.#offset + this.length === next.#offset;
      default:
        return false;
    }
  }

  /** This run made longer by `next`, which it continues into. */
  extendedBy(next: Content): Content {
    return new Content(this.kind, this.length + next.length, this.#offset, this.#seed, this.#from);
  }

  /** The metadata block that these bytes are, whole and alone; undefined for anything else, a part of one included. */
  wholeRecord(): BlockRecord | undefined {
    return this.kind === "record" ? blockIn(this.#from as BlockRecord, this.#offset, this.length) : undefined;
  }

  /** Of which metadata block these bytes are a part, or all, and where in it they begin; undefined for anything else. */
  recordPart(): { readonly record: BlockRecord; readonly from: number } | undefined {
    return this.kind === "record" ? { record: this.#from as BlockRecord, from: this.#offset } : undefined;
  }

  /** Of a literal: the array that has its bytes, and where they begin in it. */
  get held(): { readonly bytes: Uint8Array; readonly from: number } | undefined {
    return this.kind === "literal" ? { bytes: this.#from as Uint8Array, from: this.#offset } : undefined;
  }

  /** Whether every byte is known to be zero without looking at literals. */
  get isZero(): boolean {
    return this.kind === "zero";
  }

  /** The byte at `position`, which must lie within. */
  byteAt(position: number): number {
    if (!(position >= 0 && position < this.length)) throw new InvariantError(`no byte ${position} in ${this.length} bytes`);
    if (this.kind === "literal") return (this.#from as Uint8Array)[this.#offset + position] as number;
    const one = new Uint8Array(1);
    this.slice(position, position + 1).copyTo(one, 0);
    return one[0] as number;
  }

  /** Writes the bytes into `target` from `at` on; they must fit. */
  copyTo(target: Uint8Array, at = 0): void {
    const end = at + this.length;
    if (end > target.length) throw new InvariantError(`${this.length} bytes do not fit at ${at} of ${target.length}`);
    const offset = this.#offset;
    switch (this.kind) {
      case "zero":
        target.fill(0, at, end);
        return;
      case "literal":
        copyBytes(this.#from as Uint8Array, offset, { target, at, length: this.length });
        return;
      case "repeat":
        repeatInto(target.subarray(at, end), this.#from as Uint8Array, offset);
        return;
      case "pattern":
        patternInto(target.subarray(at, end), this.#seed, offset);
        return;
      case "source":
        (this.#from as ByteSource).readInto(target.subarray(at, end), offset);
        return;
      case "record":
        target.set(encodeRecord(this.#from as BlockRecord).subarray(offset, offset + this.length), at);
        return;
      default:
        ropeInto(this.#from as Rope, target, at);
    }
  }

  /** All bytes in a fresh array. */
  toBytes(): Uint8Array {
    const out = new Uint8Array(this.length);
    this.copyTo(out, 0);
    return out;
  }

  /** The bytes in order, at most 64 KiB at a time; the array is used again for the next piece. */
  *chunks(): Generator<Uint8Array> {
    const room = new Uint8Array(Math.min(CHUNK, this.length));
    for (let at = 0; at < this.length; at += CHUNK) {
      const piece = this.slice(at, at + CHUNK);
      piece.copyTo(room, 0);
      yield room.subarray(0, piece.length);
    }
  }

  /** Whether both have the same bytes. O(runs) where the runs are alike, else O(length). */
  equals(other: Content): boolean {
    if (this === other) return true;
    if (this.length !== other.length) return false;
    for (let at = 0; at < this.length; ) {
      const mine = Content.#runAt(this, at);
      const theirs = Content.#runAt(other, at);
      const length = Math.min(mine.length, theirs.length);
      if (!sameRun(mine.slice(0, length), theirs.slice(0, length))) return false;
      at += length;
    }
    return true;
  }

  /** From `position` to the end of the run that holds it. */
  static #runAt(content: Content, position: number): Content {
    if (content.kind !== "rope") return content.slice(position);
    const rope = content.#from as Rope;
    const index = partAt(rope, position);
    return (rope.parts[index] as Content).slice(position - (rope.starts[index] as number));
  }

  /** Whether the other run has the same source, place and length. */
  sameSource(other: Content): boolean {
    if (this.kind !== other.kind || this.length !== other.length || this.kind === "rope") return false;
    if (this.kind === "zero") return true;
    return this.#offset === other.#offset && this.#seed === other.#seed && this.#from === other.#from;
  }

  /** The SHA-256 of the bytes in lower-case hexadecimal; takes 64 KiB at a time. What a few numbers describe is not worked out twice. */
  sha256(): string {
    const described = this.kind === "pattern" || this.kind === "zero";
    const key = described ? `${this.kind} ${this.#seed} ${this.#offset} ${this.length}` : "";
    const known = described ? digests.get(key) : undefined;
    if (known !== undefined) return known;
    const hash = sha256.create();
    for (const piece of this.chunks()) hash.update(piece);
    const digest = Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (described) {
      if (digests.size === DIGESTS_MAX) digests.clear();
      digests.set(key, digest);
    }
    return digest;
  }

  /** The bytes as UTF-8 text. */
  toText(): string {
    return new TextDecoder().decode(this.toBytes());
  }
}

/** The index of a rope's part that holds the byte at `position`. */
function partAt({ starts }: Rope, position: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] as number) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

function sliceRope(rope: Rope, from: number, to: number): Content {
  const { parts, starts } = rope;
  const out: Content[] = [];
  for (let index = partAt(rope, from); index < parts.length; index++) {
    const start = starts[index] as number;
    if (start >= to) break;
    out.push((parts[index] as Content).slice(from - start, to - start));
  }
  return Content.concat(out);
}

function ropeInto({ parts, starts }: Rope, target: Uint8Array, at: number): void {
  for (let index = 0; index < parts.length; index++) (parts[index] as Content).copyTo(target, at + (starts[index] as number));
}

function appendRun(runs: Content[], next: Content): void {
  const last = runs.at(-1);
  if (last?.continuesInto(next)) runs[runs.length - 1] = last.extendedBy(next);
  else runs.push(next);
}

function sameRun(one: Content, other: Content): boolean {
  if (one.sameSource(other)) return true;
  const length = one.length;
  for (let at = 0; at < length; at += CHUNK) {
    if (!sameBytes(one.slice(at, at + CHUNK).toBytes(), other.slice(at, at + CHUNK).toBytes())) return false;
  }
  return true;
}
