/**
 * Writes a whole metadata image at once from what it should say: what thin_restore does (spec/block-cow.md §1.10, "Golden image").
 *
 * Layout: superblock, index block, the metadata's bitmaps, its tree of large counts, the data's tree of bitmaps, its bitmaps, its tree of
 * large counts, details, the tree of devices, then the devices' mappings in the order of their ids. Leaves are full; of the last two each
 * has at least a third. Devices that are given the same list of mappings share one tree.
 */
import type { BlockDevice } from "../block/device.ts";
import { ENOSPC, type Errno } from "../core/errno.ts";
import { bytes } from "../core/units.ts";
import { BITMAP_ENTRIES, setBitmapEntry } from "./bitmap-entries.ts";
import { emptyNode, entriesMaxFor, keyAt, makeParent, setCount, setKey, valueAt } from "./btree-node.ts";
import { setMapping } from "./mapping.ts";
import { METADATA_BLOCK_SIZE, MetadataBlock, set64 } from "./metadata-block.ts";
import { METADATA_BLOCKS_MAX } from "./metadata-blocks.ts";
import { detailsValue } from "./metadata-state.ts";
import type { DeviceModel, MappingRun } from "./model.ts";
import { seal } from "./sealed-block.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";

/** What an image should say. Devices in the ascending order of their ids. */
export interface ImageModel {
  readonly time: number;
  readonly transaction: number;
  readonly needsCheck: boolean;
  readonly dataBlockSectors: number;
  readonly dataBlocks: number;
  readonly devices: readonly DeviceModel[];
}

/** Entries of a tree in the order of their keys; `put` writes a value. */
interface Entries {
  readonly count: number;
  readonly valueSize: number;
  each(visit: (key: number, value: Uint32Array) => void): void;
}

/** Counts of references, only those that are not 0. */
type Counts = ReadonlyMap<number, number>;

class Image {
  readonly blocks: MetadataBlock[] = [];
  readonly references = new Map<number, number>();

  take(kind: MetadataBlock["kind"], references = 1): MetadataBlock {
    const block = new MetadataBlock(this.blocks.length, kind);
    this.blocks.push(block);
    this.references.set(block.location, references);
    return block;
  }

  /** Places the nodes of a tree, root first, and fills them. @returns where the root is. */
  tree(entries: Entries, references = 1): number {
    const levels = levelSizes(entries.count, entriesMaxFor(entries.valueSize));
    const nodes = levels.map((size, level) =>
      Array.from({ length: size }, () => this.take("node", level === 0 ? references : 1)),
    );
    return fill(nodes, entries);
  }
}

/** Fills the nodes of a tree by levels, the root's first. @returns where the root is. */
function fill(nodes: readonly (readonly MetadataBlock[])[], entries: Entries): number {
  const levels = nodes.toReversed();
  let below = levels[0] as readonly MetadataBlock[];
  fillLeaves(below, entries);
  for (const level of levels.slice(1)) {
    fillParents(level, below);
    below = level;
  }
  return (below[0] as MetadataBlock).location;
}

/** How many nodes each level has, the root's first. */
function levelSizes(entries: number, leafMax: number): readonly number[] {
  const sizes = [Math.max(1, Math.ceil(entries / leafMax))];
  const parentMax = entriesMaxFor(8);
  while ((sizes[0] as number) > 1) sizes.unshift(Math.ceil((sizes[0] as number) / parentMax));
  return sizes;
}

/** How many of `count` items go to each of `nodes` nodes: as many as fit, and the last two alike where the last would be too empty. */
function shares(count: number, nodes: number, max: number): readonly number[] {
  const out = Array.from({ length: nodes }, (_, index) => Math.min(max, count - index * max));
  const last = out.at(-1) as number;
  if (nodes > 1 && last < max / 3) {
    const both = max + last;
    out[nodes - 2] = Math.ceil(both / 2);
    out[nodes - 1] = Math.floor(both / 2);
  }
  return out;
}

function fillLeaves(leaves: readonly MetadataBlock[], entries: Entries): void {
  const sizes = shares(entries.count, leaves.length, entriesMaxFor(entries.valueSize));
  for (const leaf of leaves) emptyNode(leaf.words, entries.valueSize);
  let leaf = 0;
  let index = 0;
  entries.each((key, value) => {
    if (index === sizes[leaf]) {
      leaf += 1;
      index = 0;
    }
    const { words } = leaves[leaf] as MetadataBlock;
    setKey(words, index, key);
    words.set(value, valueAt(words, index));
    index += 1;
    setCount(words, index);
  });
}

function fillParents(parents: readonly MetadataBlock[], children: readonly MetadataBlock[]): void {
  const sizes = shares(children.length, parents.length, entriesMaxFor(8));
  let from = 0;
  parents.forEach((parent, index) => {
    const own = children.slice(from, from + (sizes[index] as number));
    from += own.length;
    makeParent(
      parent.words,
      own.map(({ words, location }) => ({ key: keyAt(words, 0), location })),
    );
  });
}

function numbers(values: readonly (readonly [number, number])[]): Entries {
  return {
    count: values.length,
    valueSize: 8,
    each: (visit) => {
      const value = new Uint32Array(2);
      for (const [key, number] of values) {
        set64(value, 0, number);
        visit(key, value);
      }
    },
  };
}

function bigCounts(counts: Counts): Entries {
  const big = [...counts].filter(([, count]) => count > 2).sort(([one], [other]) => one - other);
  return {
    count: big.length,
    valueSize: 4,
    each: (visit) => {
      for (const [block, count] of big) visit(block, Uint32Array.of(count));
    },
  };
}

function mappings(runs: readonly MappingRun[]): Entries {
  return {
    count: runs.reduce((sum, { length }) => sum + length, 0),
    valueSize: 8,
    each: (visit) => {
      const value = new Uint32Array(2);
      for (const { origin, data, length, time } of runs) {
        for (let offset = 0; offset < length; offset++) {
          setMapping(value, data + offset, time);
          visit(origin + offset, value);
        }
      }
    },
  };
}

function details(devices: readonly DeviceModel[]): Entries {
  return {
    count: devices.length,
    valueSize: 24,
    each: (visit) => {
      for (const device of devices) visit(device.id, detailsValue(device.details));
    },
  };
}

/** One bitmap's entry of an index as a value. */
function indexEntry(bitmap: MetadataBlock, span: { readonly from: number; readonly to: number }, counts: Counts): Uint32Array {
  let used = 0;
  let firstFree = -1;
  for (let block = span.from; block < span.to; block++) {
    const count = counts.get(block) ?? 0;
    if (count === 0) {
      if (firstFree < 0) firstFree = block - span.from;
      continue;
    }
    used += 1;
    setBitmapEntry(bitmap.words, block - span.from, Math.min(count, 3));
  }
  const value = new Uint32Array(4);
  set64(value, 0, bitmap.location);
  value[2] = span.to - span.from - used;
  value[3] = firstFree < 0 ? span.to - span.from : firstFree;
  return value;
}

/** The entries of an index over `bitmaps`, which are filled. */
function indexEntries(bitmaps: readonly MetadataBlock[], blocks: number, counts: Counts): readonly Uint32Array[] {
  return bitmaps.map((bitmap, index) => {
    const from = index * BITMAP_ENTRIES;
    return indexEntry(bitmap, { from, to: Math.min(blocks, from + BITMAP_ENTRIES) }, counts);
  });
}

/** How often each data block is mapped, by trees. */
function dataCounts(trees: readonly (readonly MappingRun[])[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const runs of trees) {
    for (const { data, length } of runs) {
      for (let block = data; block < data + length; block++) counts.set(block, (counts.get(block) ?? 0) + 1);
    }
  }
  return counts;
}

interface Root {
  readonly blocks: number;
  readonly allocated: number;
  readonly index: number;
  readonly big: number;
}

function setRoot(words: Uint32Array, at: number, root: Root): void {
  set64(words, at, root.blocks);
  set64(words, at + 2, root.allocated);
  set64(words, at + 4, root.index);
  set64(words, at + 6, root.big);
}

/** The devices' trees by their lists of mappings: how many devices share each. */
function sharedTrees(devices: readonly DeviceModel[]): Map<readonly MappingRun[], number> {
  const sharers = new Map<readonly MappingRun[], number>();
  for (const { runs } of devices) sharers.set(runs, (sharers.get(runs) ?? 0) + 1);
  return sharers;
}

/** Fills in everything behind the superblock. @returns the roots that it must point to. */
function layOut(
  image: Image,
  model: ImageModel,
  metadataBlocks: number,
): { data: Root; metadata: Root; mappings: number; details: number } {
  const sharers = sharedTrees(model.devices);
  const counts = dataCounts([...sharers.keys()]);
  const bitmapsFor = (blocks: number): MetadataBlock[] =>
    Array.from({ length: Math.ceil(blocks / BITMAP_ENTRIES) }, () => image.take("bitmap"));
  const index = image.take("index");
  const metadataBitmaps = bitmapsFor(metadataBlocks);
  // The counts of metadata blocks that are above two are those of shared trees; where these lie is known at the end only.
  const bigMetadata = [...sharers.values()].filter((devices) => devices > 2).length;
  const metadataBig = {
    at: image.blocks.length,
    nodes: levelSizes(bigMetadata, entriesMaxFor(4)).reduce((sum, size) => sum + size, 0),
  };
  for (let node = 0; node < metadataBig.nodes; node++) image.take("node");
  const bitmapCount = Math.ceil(model.dataBlocks / BITMAP_ENTRIES);
  const dataTree = image.blocks.length;
  const dataTreeNodes = levelSizes(bitmapCount, entriesMaxFor(16)).reduce((sum, size) => sum + size, 0);
  for (let node = 0; node < dataTreeNodes; node++) image.take("node");
  const dataBitmaps = bitmapsFor(model.dataBlocks);
  const big = image.tree(bigCounts(counts));
  const detailsRoot = image.tree(details(model.devices));
  const devicesAt = image.blocks.length;
  const devicesNodes = levelSizes(model.devices.length, entriesMaxFor(8)).reduce((sum, size) => sum + size, 0);
  for (let node = 0; node < devicesNodes; node++) image.take("node");
  const roots = new Map<readonly MappingRun[], number>();
  for (const [runs, devices] of sharers) roots.set(runs, image.tree(mappings(runs), devices));
  refill(image, devicesAt, numbers(model.devices.map(({ id, runs }) => [id, roots.get(runs) as number])));
  const dataEntries = indexEntries(dataBitmaps, model.dataBlocks, counts);
  refill(image, dataTree, {
    count: dataEntries.length,
    valueSize: 16,
    each: (visit) => {
      for (const [key, value] of dataEntries.entries()) visit(key, value);
    },
  });
  refill(image, metadataBig.at, bigCounts(image.references));
  indexEntries(metadataBitmaps, metadataBlocks, image.references).forEach((value, at) => {
    index.words.set(value, 4 + 4 * at);
  });
  return {
    data: { blocks: model.dataBlocks, allocated: counts.size, index: dataTree, big },
    metadata: { blocks: metadataBlocks, allocated: image.blocks.length, index: index.location, big: metadataBig.at },
    mappings: devicesAt,
    details: detailsRoot,
  };
}

/** Fills a tree into nodes that were placed before, from `at` on. */
function refill(image: Image, at: number, entries: Entries): void {
  let next = at;
  const nodes = levelSizes(entries.count, entriesMaxFor(entries.valueSize)).map((size) => {
    const level = image.blocks.slice(next, next + size);
    next += size;
    return level;
  });
  fill(nodes, entries);
}

/** Writes an image of a model to a device. @returns ENOSPC where it does not fit, or the device's error. */
export function buildImage(device: BlockDevice, model: ImageModel): Errno | undefined {
  const metadataBlocks = Math.min(Math.floor(device.size / METADATA_BLOCK_SIZE), METADATA_BLOCKS_MAX);
  // Asked before anything is laid out: a pool of very many blocks has more bitmaps than there is memory for.
  if (Math.ceil(model.dataBlocks / BITMAP_ENTRIES) > metadataBlocks) return ENOSPC;
  const image = new Image();
  const superblock = new Superblock(image.take("superblock").words);
  superblock.format(model.dataBlockSectors, metadataBlocks);
  const roots = layOut(image, model, metadataBlocks);
  if (image.blocks.length > metadataBlocks) return ENOSPC;
  superblock.time = model.time;
  superblock.transaction = model.transaction;
  superblock.needsCheck = model.needsCheck;
  superblock.mappings = roots.mappings;
  superblock.details = roots.details;
  setRoot(superblock.words, superblock.dataSpaceAt, roots.data);
  setRoot(superblock.words, superblock.metadataSpaceAt, roots.metadata);
  for (const block of image.blocks.toReversed()) {
    // The superblock, block 0, comes last.
    const failed = device.write(bytes(block.location * METADATA_BLOCK_SIZE), seal(block));
    if (failed !== undefined) return failed;
    if (block.location === SUPERBLOCK_LOCATION + 1) device.flush();
  }
  return device.flush();
}
