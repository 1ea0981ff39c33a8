/**
 * One block of a pool's metadata in memory: 4096 bytes as 1024 little-endian words, with a checksum and its own number in front
 * (spec/block-cow.md §1.10; drivers/md/persistent-data/dm-block-manager.c). How it lies on the device: sealed-block.ts.
 */
import { assert } from "../core/assert.ts";

/** Bytes of a metadata block. */
export const METADATA_BLOCK_SIZE = 4096;
const WORDS = METADATA_BLOCK_SIZE / 4;

/** What a block is: its checksum's salt. */
export type BlockKind = "superblock" | "node" | "bitmap" | "index";

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "metadata blocks are little-endian words: this machine is not");

/** A 64-bit field as a number, most often one of 32 bits; fields that hold more than 53 bits are read by halves. */
export function get64(words: Uint32Array, at: number): number {
  const low = words[at] as number;
  const high = words[at + 1] as number;
  return high === 0 ? low : high * 2 ** 32 + low;
}

/** Values of two words each that stand one behind the other, and the number that each of them has. */
interface NumberedValues {
  readonly words: Uint32Array;
  readonly at: number;
  readonly count: number;
  readonly numberAt: (words: Uint32Array, at: number) => number;
}

/** Calls `each` for the runs of consecutive numbers among values (dm-thin-metadata.c, with_runs). */
export function visitRuns({ words, at, count, numberAt }: NumberedValues, each: (begin: number, end: number) => void): void {
  let begin = -1;
  let end = -1;
  for (let index = 0; index < count; index++) {
    const block = numberAt(words, at + 2 * index);
    if (block === end) {
      end += 1;
      continue;
    }
    if (begin >= 0) each(begin, end);
    begin = block;
    end = block + 1;
  }
  if (begin >= 0) each(begin, end);
}

/** Sets a 64-bit field to a whole number below 2^53. */
export function set64(words: Uint32Array, at: number, value: number): void {
  const low = value >>> 0;
  words[at] = low;
  words[at + 1] = value === low ? 0 : Math.floor(value / 2 ** 32);
}

/** Words of so many blocks lie side by side: an array of its own for each would be taken, zeroed and given back at several times the cost. */
const SIDE_BY_SIDE = 16;
let room = new ArrayBuffer(0);
let roomUsed = 0;

/** Zeroed words for a block. */
function newWords(): Uint32Array {
  if (roomUsed === room.byteLength) {
    room = new ArrayBuffer(SIDE_BY_SIDE * METADATA_BLOCK_SIZE);
    roomUsed = 0;
  }
  const words = new Uint32Array(room, roomUsed, WORDS);
  roomUsed += METADATA_BLOCK_SIZE;
  return words;
}

/** A block in memory. */
export class MetadataBlock {
  /** Its number on the metadata device. */
  readonly location: number;
  readonly kind: BlockKind;
  readonly words: Uint32Array;
  /** Whether its words may be written, and go out with the next flush. */
  changed = false;
  /** Whether the transaction at work made it (transaction.ts). */
  made = false;
  /** Whether it is known, without a look at the counts, to be made by the transaction at work and never to have had a second reference. */
  sole = false;
  /** The block as it lies on the device, where it was written from here. */
  sealed: { pack(): void } | undefined = undefined;

  constructor(location: number, kind: BlockKind, words: Uint32Array = newWords()) {
    this.location = location;
    this.kind = kind;
    this.words = words;
  }

  /** Another block that begins with the same words. */
  copyTo(location: number): MetadataBlock {
    const words = newWords();
    words.set(this.words);
    return new MetadataBlock(location, this.kind, words);
  }
}
