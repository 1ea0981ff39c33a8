/**
 * Looks at everything that a metadata image holds and compares the counts of references with what is referenced: what thin_check does
 * (spec/block-cow.md §1.10, "What the checkers notice").
 *
 * Interface: nothing is changed. A tree that cannot be read is told, and the counts are not compared then.
 */
import { EILSEQ, EIO, ENOTBLK, type Errno, isErrno } from "../core/errno.ts";
import { bytes } from "../core/units.ts";
import { BITMAP_ENTRIES } from "./bitmap-entries.ts";
import type { BitmapEntry } from "./bitmap-index.ts";
import { childAt, countOf, isLeaf, keyAt, maxOf, valueAt, valueSizeOf } from "./btree-node.ts";
import { FoundCounts } from "./found-counts.ts";
import { visitDataRuns } from "./mapping.ts";
import { type BlockKind, get64, METADATA_BLOCK_SIZE } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import { DETAILS_SIZE, type MetadataState, openMetadata, readDetails } from "./metadata-state.ts";
import type { Refcounts } from "./refcounts.ts";
import { checksumOf } from "./sealed-block.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";

/** Why a block could not be used. */
export interface BlockFault {
  readonly block: number;
  readonly what: "checksum" | "place" | "order" | "valueSize" | "mostEntries" | "entries" | "shape" | "bounds" | "device";
  /** What it was to be; absent: a node of a tree. */
  readonly as?: BlockKind;
  /**
   * For keys out of order the two; for a size of values what it was to be and is; for the most entries of a node that number; for entries how many
   * there are and may be; for a block behind the device's end how many the device has; for a superblock the checksum that it should have.
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

/** Faults of what cannot be taken from the device as what it should be. */
const UNREADABLE: ReadonlySet<BlockFault["what"]> = new Set(["checksum", "place", "bounds", "device"]);

/** Where a space map's root has the place of its index (refcounts.ts, saveRoot). */
const INDEX_ROOT_WORD = 4;

class Checker {
  readonly faults: ImageFault[] = [];
  /** Metadata block → how often it is referenced. */
  readonly metadata: FoundCounts = new FoundCounts();
  /** Data block → in how many leaves it is. */
  readonly data: FoundCounts = new FoundCounts();
  /** Nodes that were read → whose tree they are of, and how many entries are below them. */
  readonly #known = new Map<number, { readonly valueSize: number; readonly entries: number }>();
  readonly #blocks: MetadataBlocks;

  constructor(blocks: MetadataBlocks) {
    this.#blocks = blocks;
  }

  /** Counts a reference. */
  reference(block: number): void {
    this.metadata.add(block);
  }

  read(block: number, kind: BlockKind): Uint32Array | BlockFault {
    const { count } = this.#blocks;
    if (block >= count) return { block, what: "bounds", as: kind, numbers: [count] };
    const found = this.#blocks.read(block, kind);
    return isErrno(found) ? { block, what: WHAT.get(found) ?? "device", as: kind } : found.words;
  }

  /** The checksum that a block should have; undefined where it cannot be read. */
  checksumOf(block: number, kind: BlockKind): number | undefined {
    const content = this.#blocks.device.read(bytes(block * METADATA_BLOCK_SIZE), bytes(METADATA_BLOCK_SIZE));
    return isErrno(content) ? undefined : checksumOf(content, kind);
  }

  /**
   * Walks a tree that nobody has walked yet; a node that was is counted and not entered again. One that is no node, or wrong, is told and not counted.
   * @returns how many entries are below; not a number where a part of them cannot be trusted.
   */
  walk(
    block: number,
    valueSize: number,
    range: { readonly from: number; readonly to: number },
    leaf: (words: Uint32Array) => void,
    fault: (found: BlockFault) => void,
  ): number {
    const known = this.#known.get(block);
    if (known?.valueSize === valueSize) {
      this.reference(block);
      return known.entries;
    }
    const words = this.read(block, "node");
    if ("block" in words) {
      // It may be read again: whoever shares it lacks its entries, too.
      fault(words);
      return Number.NaN;
    }
    const wrong = faultOf(words, block, valueSize, range);
    if (wrong !== undefined) {
      this.#known.set(block, { valueSize, entries: Number.NaN });
      fault(wrong);
      return Number.NaN;
    }
    this.reference(block);
    let entries = 0;
    if (isLeaf(words)) {
      leaf(words);
      entries = countOf(words);
    } else {
      for (let index = 0; index < countOf(words); index++) {
        const to = index + 1 < countOf(words) ? keyAt(words, index + 1) : range.to;
        entries += this.walk(childAt(words, index), valueSize, { from: keyAt(words, index), to }, leaf, fault);
      }
    }
    this.#known.set(block, { valueSize, entries });
    return entries;
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
  let before = -1;
  for (let index = 0; index < countOf(words); index++) {
    const key = keyAt(words, index);
    if (key <= before) return { block, what: "order", numbers: [key, before] };
    before = key;
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
  if (faults.some(({ kind }) => kind === "mappings")) return;
  if (!damaged) for (const device of mapped.keys()) if (!known.has(device)) faults.push({ kind: "noMappings", device });
}

function checkDevice(checker: Checker, device: number, root: number, mapped: number | undefined, damaged: boolean): void {
  const { faults } = checker;
  const before = faults.length;
  const count = (words: Uint32Array): void =>
    visitDataRuns(words, valueAt(words, 0), countOf(words), (begin, end) => checker.data.addRun(begin, end));
  const size = checker.walk(root, 8, EVERYTHING, count, (fault) => faults.push({ kind: "mappings", device, fault }));
  if (damaged || faults.length > before) return;
  if (mapped === undefined) faults.push({ kind: "noDetails", device });
  else if (!Number.isNaN(size) && mapped !== size) faults.push({ kind: "mappedCount", device, expected: mapped, got: size });
}

/**
 * Counts what a space map is made of. A node whose figures are wrong is not counted, nor told: its own count is wrong then. @returns whether the map
 * can be read.
 */
function checkSpaceMap(checker: Checker, refcounts: Refcounts, indexIsTree: boolean): boolean {
  let readable = true;
  const fault = (found: BlockFault): void => {
    readable = false;
    if (UNREADABLE.has(found.what)) checker.faults.push({ kind: "spaceMap", fault: found });
  };
  if (indexIsTree) checker.walk(refcounts.index.root, 16, EVERYTHING, () => undefined, fault);
  else checker.reference(refcounts.index.root);
  const entry: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
  for (let bitmap = 0; readable && bitmap * BITMAP_ENTRIES < refcounts.blocks; bitmap++) {
    const failed = refcounts.index.load(bitmap, entry);
    if (failed !== undefined) {
      fault({ block: refcounts.index.root, what: failed === EIO ? "device" : "shape" });
      return false;
    }
    const words = checker.read(entry.block, "bitmap");
    if ("block" in words) fault(words);
    else checker.reference(entry.block);
  }
  checker.walk(refcounts.bigRoot, 4, EVERYTHING, () => undefined, fault);
  return readable;
}

/** Compares the counts with what was found. The sums in the root are not looked at: thin_restore itself writes one that is too high. */
function compare(checker: Checker, refcounts: Refcounts, found: FoundCounts, kind: "metadataCount" | "dataCount"): void {
  const wrong: ImageFault[] = [];
  const counted = new FoundCounts();
  const failed = refcounts.addTo(counted);
  const met = counted.compare(found, (block, got, expected) => wrong.push({ kind, block, expected, got }));
  if (met < found.size) {
    for (const [block, expected] of found) {
      const got = refcounts.count(block);
      if (got === 0 || isErrno(got)) wrong.push({ kind, block, expected, got: 0 });
    }
  }
  if (failed === EIO) checker.faults.push({ kind: "spaceMap", fault: { block: refcounts.index.root, what: "device" } });
  else checker.faults.push(...wrong);
}

/** A held copy of the superblock counts for both of its trees, whose nodes are mostly shared with the current ones. */
function checkHeld(checker: Checker, held: number): void {
  const words = checker.read(held, "superblock");
  if ("block" in words) {
    const wanted = checker.checksumOf(held, "superblock");
    checker.faults.push({ kind: "spaceMap", fault: { ...words, ...(wanted === undefined ? {} : { numbers: [wanted] }) } });
    return;
  }
  checker.reference(held);
  checkTreesOfHeld(checker, new Superblock(words));
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
  checker.reference(SUPERBLOCK_LOCATION);
  checkTrees(checker, superblock);
  if (superblock.held !== 0) checkHeld(checker, superblock.held);
  if (faults.some((fault) => "fault" in fault)) return { superblock, faults };
  // Opening it reads one block more: the index of the metadata's own map.
  const index = checker.read(get64(superblock.words, superblock.metadataSpaceAt + INDEX_ROOT_WORD), "index");
  const state = openMetadata(blocks);
  if ("block" in index) faults.push({ kind: "spaceMap", fault: index });
  else if (!isErrno(state)) checkSpaceMaps(checker, state);
  return { superblock, faults };
}

function checkSpaceMaps(checker: Checker, state: MetadataState): void {
  const before = checker.faults.length;
  checkSpaceMap(checker, state.tx.space.refcounts, false);
  const isDataReadable = checkSpaceMap(checker, state.data.refcounts, true);
  if (checker.faults.length > before) return;
  compare(checker, state.tx.space.refcounts, checker.metadata, "metadataCount");
  if (isDataReadable) compare(checker, state.data.refcounts, checker.data, "dataCount");
}
