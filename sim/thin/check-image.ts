/**
 * Looks at everything that a metadata image holds and compares the counts of references with what is referenced: what thin_check does
 * (spec/block-cow.md §1.10, "What the checkers notice").
 *
 * Interface: nothing is changed. A tree that cannot be read is told, and the counts are not compared then.
 */
import { EILSEQ, ENOTBLK, type Errno, isErrno } from "../core/errno.ts";
import type { BitmapEntry } from "./bitmap-index.ts";
import { childAt, countOf, isLeaf, keyAt, maxOf, valueAt, valueSizeOf } from "./btree-node.ts";
import { mappedBlock } from "./mapping.ts";
import { type BlockKind, get64 } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import { DETAILS_SIZE, type MetadataState, openMetadata, readDetails } from "./metadata-state.ts";
import { BITMAP_ENTRIES, type Refcounts } from "./refcounts.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";

/** Why a block could not be used. */
export interface BlockFault {
  readonly block: number;
  readonly what: "checksum" | "place" | "order" | "valueSize" | "mostEntries" | "entries" | "shape" | "device";
  /** What it was to be; absent: a node of a tree. */
  readonly as?: BlockKind;
  /**
   * For keys out of order the two; for a size of values what it was to be and is; for the most entries of a node that number; for entries how many
   * there are and may be.
   */
  readonly numbers?: readonly number[];
}

/** One thing that is wrong. */
export type ImageFault =
  | { readonly kind: "superblock"; readonly fault: BlockFault }
  | { readonly kind: "spaceMap"; readonly fault: BlockFault }
  | { readonly kind: "details"; readonly fault: BlockFault }
  | { readonly kind: "devices"; readonly fault: BlockFault }
  | { readonly kind: "mappings"; readonly device: number; readonly fault: BlockFault }
  | { readonly kind: "noDetails" | "noMappings"; readonly device: number }
  | { readonly kind: "mappedCount"; readonly device: number; readonly expected: number; readonly got: number }
  | { readonly kind: "metadataCount" | "dataCount"; readonly block: number; readonly expected: number; readonly got: number };

/** What a check found. */
export interface ImageReport {
  readonly superblock: Superblock | undefined;
  readonly faults: readonly ImageFault[];
}

const WHAT: ReadonlyMap<Errno, BlockFault["what"]> = new Map<Errno, BlockFault["what"]>([
  [EILSEQ, "checksum"],
  [ENOTBLK, "place"],
]);

/** Where a space map's root has the place of its index (refcounts.ts, saveRoot). */
const INDEX_ROOT_WORD = 4;

class Checker {
  readonly faults: ImageFault[] = [];
  /** Metadata block → how often it is referenced. */
  readonly metadata = new Map<number, number>();
  /** Data block → in how many leaves it is. */
  readonly data = new Map<number, number>();
  /** Leaves of mappings that were read → how many mappings are below them. */
  readonly #sizes = new Map<number, number>();
  readonly #blocks: MetadataBlocks;

  constructor(blocks: MetadataBlocks) {
    this.#blocks = blocks;
  }

  /** Counts a reference. @returns whether it is the first. */
  reference(block: number): boolean {
    const before = this.metadata.get(block) ?? 0;
    this.metadata.set(block, before + 1);
    return before === 0;
  }

  read(block: number, kind: BlockKind): Uint32Array | BlockFault {
    const found = this.#blocks.read(block, kind);
    return isErrno(found) ? { block, what: WHAT.get(found) ?? "device", as: kind } : found.words;
  }

  /**
   * Walks a tree that nobody has walked yet; a node that was is counted and not entered again.
   * @returns how many entries are below; not a number where a part of them cannot be trusted.
   */
  walk(
    block: number,
    valueSize: number,
    range: { readonly from: number; readonly to: number },
    leaf: (words: Uint32Array) => void,
    fault: (found: BlockFault) => void,
  ): number {
    if (!this.reference(block)) return this.#sizes.get(block) ?? 0;
    const words = this.read(block, "node");
    if ("block" in words) {
      // It may be read again: whoever shares it lacks its entries, too.
      this.metadata.set(block, (this.metadata.get(block) ?? 1) - 1);
      fault(words);
      return 0;
    }
    const wrong = faultOf(words, block, valueSize, range);
    if (wrong !== undefined) {
      this.#sizes.set(block, Number.NaN);
      fault(wrong);
      return Number.NaN;
    }
    if (isLeaf(words)) {
      leaf(words);
      this.#sizes.set(block, countOf(words));
      return countOf(words);
    }
    let size = 0;
    for (let index = 0; index < countOf(words); index++) {
      const to = index + 1 < countOf(words) ? keyAt(words, index + 1) : range.to;
      size += this.walk(childAt(words, index), valueSize, { from: keyAt(words, index), to }, leaf, fault);
    }
    this.#sizes.set(block, size);
    return size;
  }
}

/** What is wrong with a node itself. */
function faultOf(
  words: Uint32Array,
  block: number,
  valueSize: number,
  range: { readonly from: number; readonly to: number },
): BlockFault | undefined {
  const size = isLeaf(words) ? valueSize : 8;
  const most = maxOf(words);
  if (valueSizeOf(words) !== size) return { block, what: "valueSize", numbers: [size, valueSizeOf(words)] };
  if (8 + (most * (8 + size)) / 4 > words.length) return { block, what: "mostEntries", numbers: [most] };
  if (countOf(words) > most) return { block, what: "entries", numbers: [countOf(words), most] };
  for (let index = 1; index < countOf(words); index++) {
    const numbers = [keyAt(words, index), keyAt(words, index - 1)] as const;
    if (numbers[0] <= numbers[1]) return { block, what: "order", numbers };
  }
  const outside = countOf(words) > 0 && (keyAt(words, 0) < range.from || keyAt(words, countOf(words) - 1) >= range.to);
  return outside ? { block, what: "shape" } : undefined;
}

const EVERYTHING = { from: 0, to: Number.POSITIVE_INFINITY };

/** The devices and their details. */
function checkTrees(checker: Checker, superblock: Superblock): void {
  const { faults } = checker;
  const mapped = new Map<number, number>();
  const tell =
    (kind: "details" | "devices") =>
    (fault: BlockFault): void => {
      faults.push({ kind, fault });
    };
  checker.walk(
    superblock.details,
    DETAILS_SIZE,
    EVERYTHING,
    (words) => {
      for (let index = 0; index < countOf(words); index++) {
        mapped.set(keyAt(words, index), readDetails(words, valueAt(words, index)).mapped);
      }
    },
    tell("details"),
  );
  const roots: { readonly device: number; readonly root: number }[] = [];
  const collect = (words: Uint32Array): void => {
    for (let index = 0; index < countOf(words); index++) roots.push({ device: keyAt(words, index), root: childAt(words, index) });
  };
  checker.walk(superblock.mappings, 8, EVERYTHING, collect, tell("devices"));
  const damaged = faults.length > 0;
  for (const { device, root } of roots) checkDevice(checker, device, root, mapped.get(device), damaged);
  const known = new Set(roots.map(({ device }) => device));
  if (!damaged) for (const device of mapped.keys()) if (!known.has(device)) faults.push({ kind: "noMappings", device });
}

function checkDevice(checker: Checker, device: number, root: number, mapped: number | undefined, damaged: boolean): void {
  const { faults } = checker;
  const before = faults.length;
  const count = (words: Uint32Array): void => {
    for (let index = 0; index < countOf(words); index++) {
      const block = mappedBlock(words, valueAt(words, index));
      checker.data.set(block, (checker.data.get(block) ?? 0) + 1);
    }
  };
  const size = checker.walk(root, 8, EVERYTHING, count, (fault) => faults.push({ kind: "mappings", device, fault }));
  if (damaged || faults.length > before) return;
  if (mapped === undefined) faults.push({ kind: "noDetails", device });
  else if (!Number.isNaN(size) && mapped !== size) faults.push({ kind: "mappedCount", device, expected: mapped, got: size });
}

/** Counts what a space map is made of. */
function checkSpaceMap(checker: Checker, refcounts: Refcounts, indexIsTree: boolean): void {
  const fault = (found: BlockFault): void => {
    checker.faults.push({ kind: "spaceMap", fault: found });
  };
  if (indexIsTree) checker.walk(refcounts.index.root, 16, EVERYTHING, () => undefined, fault);
  else checker.reference(refcounts.index.root);
  checker.walk(refcounts.bigRoot, 4, EVERYTHING, () => undefined, fault);
  const entry: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
  for (let bitmap = 0; bitmap * BITMAP_ENTRIES < refcounts.blocks; bitmap++) {
    if (refcounts.index.load(bitmap, entry) !== undefined) return;
    checker.reference(entry.block);
    const words = checker.read(entry.block, "bitmap");
    if ("block" in words) fault(words);
  }
}

/** Compares the counts with what was found. The sums in the root are not looked at: thin_restore itself writes one that is too high. */
function compare(
  checker: Checker,
  refcounts: Refcounts,
  found: ReadonlyMap<number, number>,
  kind: "metadataCount" | "dataCount",
): void {
  const left = new Map(found);
  refcounts.visit((block, got) => {
    const expected = left.get(block) ?? 0;
    left.delete(block);
    if (expected !== got) checker.faults.push({ kind, block, expected, got });
  });
  for (const [block, expected] of left) if (expected > 0) checker.faults.push({ kind, block, expected, got: 0 });
}

/** A held copy of the superblock counts for both of its trees, whose nodes are mostly shared with the current ones. */
function checkHeld(checker: Checker, held: number): void {
  const words = checker.read(held, "superblock");
  checker.reference(held);
  if ("block" in words) checker.faults.push({ kind: "superblock", fault: words });
  else checkTreesOfHeld(checker, new Superblock(words));
}

function checkTreesOfHeld(checker: Checker, superblock: Superblock): void {
  const fault = (found: BlockFault): void => {
    checker.faults.push({ kind: "devices", fault: found });
  };
  checker.walk(superblock.details, DETAILS_SIZE, EVERYTHING, () => undefined, fault);
  const roots: { readonly device: number; readonly root: number }[] = [];
  checker.walk(
    superblock.mappings,
    8,
    EVERYTHING,
    (words) => {
      for (let index = 0; index < countOf(words); index++)
        roots.push({ device: keyAt(words, index), root: childAt(words, index) });
    },
    fault,
  );
  for (const { device, root } of roots) checkDevice(checker, device, root, undefined, true);
}

/** Checks an image. @param blocks - over the device; nothing is written. */
export function checkImage(blocks: MetadataBlocks): ImageReport {
  const checker = new Checker(blocks);
  const { faults } = checker;
  const words = checker.read(SUPERBLOCK_LOCATION, "superblock");
  if ("block" in words) return { superblock: undefined, faults: [{ kind: "superblock", fault: words }] };
  const superblock = new Superblock(words);
  if (!superblock.hasMagic) {
    return { superblock: undefined, faults: [{ kind: "superblock", fault: { block: SUPERBLOCK_LOCATION, what: "shape" } }] };
  }
  checker.reference(SUPERBLOCK_LOCATION);
  checkTrees(checker, superblock);
  if (superblock.held !== 0) checkHeld(checker, superblock.held);
  if (faults.some(({ kind }) => kind === "details" || kind === "devices" || kind === "mappings")) return { superblock, faults };
  const state = openMetadata(blocks);
  if (isErrno(state)) {
    // Opening it reads one block more: the index of the metadata's own map.
    const block = get64(superblock.words, superblock.metadataSpaceAt + INDEX_ROOT_WORD);
    faults.push({ kind: "spaceMap", fault: { block, what: WHAT.get(state) ?? "device", as: "index" } });
    return { superblock, faults };
  }
  checkSpaceMaps(checker, state);
  return { superblock, faults };
}

function checkSpaceMaps(checker: Checker, state: MetadataState): void {
  const before = checker.faults.length;
  checkSpaceMap(checker, state.tx.space.refcounts, false);
  checkSpaceMap(checker, state.data.refcounts, true);
  if (checker.faults.length > before) return;
  compare(checker, state.tx.space.refcounts, checker.metadata, "metadataCount");
  compare(checker, state.data.refcounts, checker.data, "dataCount");
}
