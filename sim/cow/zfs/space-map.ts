/**
 * A space map: what a part of the pool's space went through, in words that are appended to an object of the meta object set (module/zfs/space_map.c,
 * include/sys/space_map.h).
 *
 * Words of 64 bits: before the runs of one kind and pass one for debugging, with the group and the pass; then a run a word, or two words where it is
 * longer or the map is of all devices (feature spacemap_v2). What a block takes is what its words compress to.
 *
 * Interface: `append` puts changes behind what is there, `fit` gives the blocks the places that they need now. The words themselves are told by the
 * set's root: a block is written anew only when it becomes longer.
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { type Compressor, packedLength, SECTOR } from "./compress.ts";
import { SpaceChanges } from "./space-changes.ts";

/** A map as the set's root tells of it. */
export interface FrozenSpaceMap {
  /** Two numbers a word, the low one first: from one place on, and more may follow. */
  readonly words: Uint32Array;
  readonly from: number;
  /** Bytes of its words (smp_length). */
  readonly length: number;
  /** Units taken (smp_alloc). */
  readonly taken: number;
  readonly blocks: readonly BlockPointer[];
  readonly indirect: BlockPointer | undefined;
}

export interface NewMapBlock {
  readonly level: number;
  readonly logicalSize: number;
  readonly physicalSize: number;
  /** A number of its map. */
  readonly object: number;
}

/** What the meta object set does for maps. */
export interface SpaceMapIo {
  readonly compression: Compressor;
  /** Bytes of an indirect block, and what it takes with pointers in it. */
  readonly indirectBytes: number;
  indirectSize(pointers: readonly BlockPointer[]): number;
  /** A compressed size as it is stored. */
  rounded(compressed: number, logical: number): number;
  /** Writes a block. */
  make(block: NewMapBlock): BlockPointer | Errno;
  kill(pointer: BlockPointer): void;
}

/** How a map is written. */
export interface SpaceMapShape {
  readonly blockBytes: number;
  /** Whether a run may take two words. */
  readonly hasTwoWords: boolean;
}

/** Where a metaslab lies among the sectors of its device, and how many a unit of it is. */
export interface SectorsOf {
  readonly device: number;
  readonly first: number;
  readonly unit: number;
}

/** When something was appended: a group is written in passes. */
interface Pass {
  readonly group: number;
  readonly pass: number;
}

/** A run as words tell it: of a device, in its map's units. */
export type VisitWords = (device: number, start: number, count: number, isTaken: boolean) => void;

const WORD_BYTES = 8;
/** Units that a run of one word has at most (SM_RUN_MAX). */
const RUN_MAX = 2 ** 15;
/** What the two highest bits of a word say (SM_DEBUG_PREFIX, SM2_PREFIX). */
const DEBUG_PREFIX = 2;
const TWO_WORDS_PREFIX = 3;
/** It is given back: in the second of two words, and in the low half of one. */
const GIVEN_HIGH = 0x8000_0000;
const GIVEN_LOW = 0x8000;
/** The device of a run in a map that is of one alone (SM_NO_VDEVID). */
const NO_DEVICE = 0xff_ffff;
/** Blocks that a map has at least before it is made anew. */
const CONDENSE_BLOCKS = 4;
/** Numbers that there is room for at first. */
const NUMBERS_MIN = 64;
/** Numbers that maps share which follow each other. */
const ARENA_NUMBERS = 8192;
/** Bytes that are compressed at once: a run is like those near it. */
const PIECE_BYTES = 1024;
/** By how many bytes the compressed length may be less than that of fewer words. */
const SLACK = 16;

/** What is known of how long a block becomes. */
interface Measured {
  readonly block: number;
  /** How long it was when it was compressed last, and of how many bytes. */
  used: number;
  length: number;
  /** How many whole pieces of it were compressed, and what they become. */
  pieces: number;
  piecesLength: number;
}

const NONE: readonly never[] = [];

export class SpaceMap {
  readonly #shape: SpaceMapShape;
  #words: Uint32Array;
  #from: number;
  #length: number;
  /** Units taken. */
  taken: number;
  #blocks: readonly BlockPointer[];
  #indirect: BlockPointer | undefined;
  /** What is known of the last block's length. */
  #measured: Measured | undefined;
  /** The map as it was told last, while it is as it was. */
  #frozen: FrozenSpaceMap | undefined;

  /** @param from - what it was, or where its words are to lie and which blocks it begins with */
  constructor(shape: SpaceMapShape, from?: FrozenSpaceMap) {
    this.#shape = shape;
    this.#words = from?.words ?? new Uint32Array(NUMBERS_MIN);
    this.#from = from?.from ?? 0;
    this.#length = from?.length ?? 0;
    this.taken = from?.taken ?? 0;
    this.#blocks = from?.blocks ?? NONE;
    this.#indirect = from?.indirect;
  }

  /** One that devices tell of: its words may be another machine's too, that goes on with the same disk. */
  static read(shape: SpaceMapShape, { words, from, length, taken, blocks, indirect }: FrozenSpaceMap): SpaceMap {
    return new SpaceMap(shape, { words: words.slice(from, from + length / 4), from: 0, length, taken, blocks, indirect });
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * Makes the map anew where it is long, and twice as long as what is taken needs (metaslab_should_condense, zfs_condense_pct,
   * zfs_metaslab_condense_block_threshold).
   */
  condense(io: SpaceMapIo, when: Pass): void {
    if (this.#length <= CONDENSE_BLOCKS * this.#shape.blockBytes) return;
    const all = new SpaceChanges();
    this.visit((_device, start, count, isTaken) => all.add(start, count, isTaken));
    let runs = 0;
    all.visit(() => {
      runs += 1;
    });
    if (this.#length <= 2 * runs * WORD_BYTES) return;
    this.destroy(io);
    this.#words = new Uint32Array(NUMBERS_MIN);
    this.#from = 0;
    this.#length = 0;
    this.taken = 0;
    this.#measured = undefined;
    this.append(all, when);
  }

  /** What is on the devices is never changed: words are appended behind it. */
  freeze(): FrozenSpaceMap {
    const known = this.#frozen;
    if (known?.length === this.#length && known.words === this.#words && known.blocks === this.#blocks) return known;
    this.#frozen = {
      words: this.#words,
      from: this.#from,
      length: this.#length,
      taken: this.taken,
      blocks: this.#blocks,
      indirect: this.#indirect,
    };
    return this.#frozen;
  }

  /** An empty map whose words come behind this one's, which is never appended to again. @param gone - one that goes: it becomes that map, with its blocks */
  next(gone: SpaceMap = new SpaceMap(this.#shape)): SpaceMap {
    const from = this.#from + this.#length / 4;
    const hasRoom = from + NUMBERS_MIN <= this.#words.length;
    gone.#words = hasRoom ? this.#words : new Uint32Array(ARENA_NUMBERS);
    gone.#from = hasRoom ? from : 0;
    gone.#length = 0;
    gone.taken = 0;
    gone.#measured = undefined;
    gone.#frozen = undefined;
    return gone;
  }

  /** Appends what a space went through in a pass of a group: what was taken, then what was given back. */
  append(changes: SpaceChanges, when: Pass, at?: SectorsOf): void {
    const count = changes.settle();
    this.#appendAll(changes, count, true, { when, at });
    this.#appendAll(changes, count, false, { when, at });
  }

  /** Appends of the first `count` runs those that were taken, or given back. */
  #appendAll(
    changes: SpaceChanges,
    count: number,
    isTaken: boolean,
    { when, at }: { readonly when: Pass; readonly at: SectorsOf | undefined },
  ): void {
    let isFirst = true;
    for (let run = 0; run < count; run++) {
      if (changes.isTaken(run) !== isTaken) continue;
      if (isFirst) this.#put(when.group, debugHigh(when, isTaken));
      isFirst = false;
      this.#putChange(changes.start(run), changes.count(run), isTaken, at);
    }
  }

  #putChange(start: number, count: number, isTaken: boolean, at: SectorsOf | undefined): void {
    this.taken += isTaken ? count : -count;
    if (at === undefined) this.#putRun(start, count, isTaken);
    else this.#putTwo(at.first + start * at.unit, count * at.unit, isTaken, at.device);
  }

  #putRun(start: number, count: number, isTaken: boolean): void {
    if (this.#shape.hasTwoWords && count > RUN_MAX) {
      this.#putTwo(start, count, isTaken, NO_DEVICE);
      return;
    }
    for (let done = 0; done < count; done += RUN_MAX) {
      const from = start + done;
      const run = Math.min(RUN_MAX, count - done) - 1;
      this.#put(((from & 0xffff) << 16) | (isTaken ? 0 : GIVEN_LOW) | run, Math.floor(from / 2 ** 16));
    }
  }

  #putTwo(start: number, count: number, isTaken: boolean, device: number): void {
    const { blockBytes } = this.#shape;
    // The two lie in one block.
    if (this.#length % blockBytes === blockBytes - WORD_BYTES) this.#put(0, DEBUG_PREFIX << 30);
    const run = count - 1;
    this.#put(((run & 0xff) << 24) | device, (TWO_WORDS_PREFIX << 30) | Math.floor(run / 2 ** 8));
    this.#put(start, (isTaken ? 0 : GIVEN_HIGH) | Math.floor(start / 2 ** 32));
  }

  #put(low: number, high: number): void {
    let at = this.#from + this.#length / 4;
    if (at >= this.#words.length) {
      const words = this.#words.subarray(this.#from);
      this.#words = new Uint32Array(Math.max(NUMBERS_MIN, 2 * words.length));
      this.#words.set(words);
      this.#from = 0;
      at = words.length;
    }
    this.#words[at] = low;
    this.#words[at + 1] = high;
    this.#length += WORD_BYTES;
  }

  /** Gives the blocks that became longer their places. @param object - a number of the map. @returns ENOSPC, EIO. */
  fit(io: SpaceMapIo, object: number): Errno | undefined {
    const { blockBytes } = this.#shape;
    const count = Math.ceil(this.#length / blockBytes);
    let isChanged = false;
    for (let index = Math.max(0, this.#blocks.length - 1); index < count; index++) {
      const size = io.rounded(this.#compressed(index, io.compression), blockBytes);
      const old = this.#blocks[index];
      if (old?.physicalSize === size) continue;
      const made = io.make({ level: 0, logicalSize: blockBytes, physicalSize: size, object });
      if (isErrno(made)) return made;
      if (old !== undefined) io.kill(old);
      this.#blocks = [...this.#blocks.slice(0, index), made];
      isChanged = true;
    }
    return isChanged && count > 1 ? this.#fitIndirect(io, object) : undefined;
  }

  #fitIndirect(io: SpaceMapIo, object: number): Errno | undefined {
    const size = io.indirectSize(this.#blocks);
    const old = this.#indirect;
    if (old?.physicalSize === size) return undefined;
    const made = io.make({ level: 1, logicalSize: io.indirectBytes, physicalSize: size, object });
    if (isErrno(made)) return made;
    if (old !== undefined) io.kill(old);
    this.#indirect = made;
    return undefined;
  }

  /** What a block becomes: it is compressed only where its last length and the words since leave open how many sectors it takes. */
  #compressed(index: number, how: Compressor): number {
    const { blockBytes } = this.#shape;
    const used = Math.min(blockBytes, this.#length - index * blockBytes);
    const measured = this.#measured?.block === index ? this.#measured : undefined;
    const length = measured?.length ?? emptyLength(blockBytes, how);
    const most = length + used - (measured?.used ?? 0) + SLACK;
    const least = measured === undefined ? length : length - SLACK;
    if (used < blockBytes && Math.ceil(least / SECTOR) === Math.ceil(most / SECTOR)) return most;
    return this.#measure(measured ?? { block: index, used: 0, length: 0, pieces: 0, piecesLength: 0 }, used, how);
  }

  #measure(measured: Measured, used: number, how: Compressor): number {
    const { blockBytes } = this.#shape;
    const whole = Math.floor(used / PIECE_BYTES);
    const bytes = new Uint8Array(this.#words.buffer, this.#words.byteOffset + this.#from * 4 + measured.block * blockBytes);
    for (; measured.pieces < whole; measured.pieces++) {
      measured.piecesLength += packedLength(bytes.subarray(measured.pieces * PIECE_BYTES), PIECE_BYTES, PIECE_BYTES, how);
    }
    const from = whole * PIECE_BYTES;
    const rest = from === blockBytes ? 0 : packedLength(bytes.subarray(from), used - from, blockBytes - from, how);
    measured.used = used;
    measured.length = measured.piecesLength + rest;
    this.#measured = measured;
    return measured.length;
  }

  /** Gives all its blocks up. */
  destroy(io: SpaceMapIo): void {
    this.visitBlocks((pointer) => io.kill(pointer));
    this.#blocks = NONE;
    this.#indirect = undefined;
  }

  /** Visits every run that was ever appended, in order. */
  visit(visit: VisitWords): void {
    const end = this.#from + this.#length / 4;
    for (let at = this.#from; at < end; at += 2) {
      const low = this.#words[at] as number;
      const high = this.#words[at + 1] as number;
      const prefix = high >>> 30;
      if (prefix === DEBUG_PREFIX) continue;
      if (prefix !== TWO_WORDS_PREFIX) {
        visit(NO_DEVICE, high * 2 ** 16 + (low >>> 16), (low & (RUN_MAX - 1)) + 1, (low & GIVEN_LOW) === 0);
        continue;
      }
      at += 2;
      const second = this.#words[at + 1] as number;
      const start = (second & ~GIVEN_HIGH) * 2 ** 32 + (this.#words[at] as number);
      visit(low & NO_DEVICE, start, (high & 0x3fff_ffff) * 2 ** 8 + (low >>> 24) + 1, second < GIVEN_HIGH);
    }
  }

  /** Visits the blocks that it takes. */
  visitBlocks(visit: (pointer: BlockPointer) => void): void {
    for (const pointer of this.#blocks) visit(pointer);
    if (this.#indirect !== undefined) visit(this.#indirect);
  }
}

const emptyLengths = new Map<string, number>();

/** What a block without words becomes. */
function emptyLength(blockBytes: number, how: Compressor): number {
  const key = `${how} ${blockBytes}`;
  const known = emptyLengths.get(key);
  if (known !== undefined) return known;
  const length = packedLength(new Uint8Array(0), 0, blockBytes, how);
  emptyLengths.set(key, length);
  return length;
}

function debugHigh({ group, pass }: Pass, isTaken: boolean): number {
  return (DEBUG_PREFIX << 30) | ((isTaken ? 0 : 1) << 28) | ((pass & 0x3ff) << 18) | Math.floor(group / 2 ** 32);
}
