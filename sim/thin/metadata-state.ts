/**
 * What an opened metadata device holds: its transaction, its two space maps, its two trees (drivers/md/dm-thin-metadata.c). Made anew when
 * a transaction is aborted.
 */
import { EILSEQ, EINVAL, EPERM, type Errno, isErrno } from "../core/errno.ts";
import { BTree, type ValueType } from "./btree.ts";
import { deleteTree } from "./btree-delete.ts";
import { blockNumbers } from "./btree-spine.ts";
import { DataSpace } from "./data-space.ts";
import { mappedBlock, visitDataRuns } from "./mapping.ts";
import { get64, set64 } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import { MetadataSpace } from "./metadata-space.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";
import { Transaction } from "./transaction.ts";

/** Bytes of a device's details. */
export const DETAILS_SIZE = 24;

/** One device as the details tree has it. */
export interface DeviceDetails {
  /** Virtual blocks that are mapped. */
  mapped: number;
  /** The pool's transaction id when it was made. */
  readonly transaction: number;
  /** The pool's time when it was made. */
  readonly creationTime: number;
  /** The pool's time when it was last the origin of a snapshot, or made as one. */
  snapshotTime: number;
}

/** Reads details from a value. */
export function readDetails(words: Uint32Array, at: number): DeviceDetails {
  return {
    mapped: get64(words, at),
    transaction: get64(words, at + 2),
    creationTime: words[at + 4] as number,
    snapshotTime: words[at + 5] as number,
  };
}

/** Details as a value. */
export function detailsValue(details: DeviceDetails): Uint32Array {
  const words = new Uint32Array(DETAILS_SIZE / 4);
  set64(words, 0, details.mapped);
  set64(words, 2, details.transaction);
  words[4] = details.creationTime;
  words[5] = details.snapshotTime;
  return words;
}

/** The trees of one state of the metadata. */
export interface MetadataState {
  readonly tx: Transaction<MetadataSpace>;
  readonly data: DataSpace;
  /** Device → root of its mappings; removing one gives its mappings up. */
  readonly devices: BTree;
  /** What a device's mappings are. */
  readonly mappingType: ValueType;
  /** The same tree as `devices` where its roots are only counted: on the way to a mapping. */
  readonly rootType: ValueType;
  readonly details: BTree;
}

function mappingsOf(data: DataSpace): ValueType {
  return {
    size: 8,
    inc: (words, at, count) => visitDataRuns(words, at, count, (begin, end) => data.inc(begin, end)),
    dec: (words, at, count) => visitDataRuns(words, at, count, (begin, end) => data.dec(begin, end)),
    same: (words, at, value) => mappedBlock(words, at) === mappedBlock(value, 0),
  };
}

function assemble(blocks: MetadataBlocks): MetadataState {
  const tx = new Transaction(blocks, (made) => new MetadataSpace(made));
  const data = new DataSpace(tx);
  const mappingType = mappingsOf(data);
  const rootType = blockNumbers(tx);
  const owned: ValueType = {
    ...rootType,
    dec: (words, at, count) => {
      for (let index = 0; index < count; index++) deleteTree(tx, get64(words, at + 2 * index), mappingType);
    },
  };
  return {
    tx,
    data,
    mappingType,
    rootType,
    devices: new BTree(tx, owned),
    details: new BTree(tx, { size: DETAILS_SIZE }),
  };
}

/** Writes both space map roots into a superblock. */
export function saveSpaceMaps(state: MetadataState, superblock: Superblock): void {
  state.data.refcounts.saveRoot(superblock.words, superblock.dataSpaceAt);
  state.tx.space.refcounts.saveRoot(superblock.words, superblock.metadataSpaceAt);
}

/** Makes the metadata of a new pool without data blocks. @returns ENOSPC where the device is too small. */
function formatMetadata(blocks: MetadataBlocks, dataBlockSectors: number): MetadataState | Errno {
  const state = assemble(blocks);
  const failed =
    state.tx.space.create(blocks.usable, SUPERBLOCK_LOCATION + 1) ??
    state.data.create() ??
    state.devices.create() ??
    state.details.create() ??
    state.data.commit() ??
    state.tx.space.commit() ??
    blocks.flush();
  if (failed !== undefined) return failed;
  const block = blocks.fresh(SUPERBLOCK_LOCATION, "superblock");
  if (isErrno(block)) return block;
  const superblock = new Superblock(block.words);
  superblock.format(dataBlockSectors, blocks.usable);
  superblock.mappings = state.devices.root;
  superblock.details = state.details.root;
  saveSpaceMaps(state, superblock);
  state.tx.begin();
  return blocks.flush() ?? state;
}

/**
 * Opens metadata that is there.
 * @param dataBlockSectors - what the data block size should be; undefined: whatever it is, and whichever features it asks for.
 * @returns EINVAL for another block size or unknown features, EILSEQ for what is no superblock, ENOTBLK, EIO.
 */
export function openMetadata(blocks: MetadataBlocks, dataBlockSectors?: number): MetadataState | Errno {
  const block = blocks.read(SUPERBLOCK_LOCATION, "superblock");
  if (isErrno(block)) return block;
  const superblock = new Superblock(block.words);
  if (dataBlockSectors !== undefined && !superblock.hasMagic) return EILSEQ;
  // A checker takes what a pool would not.
  if (dataBlockSectors !== undefined && (superblock.dataBlockSectors !== dataBlockSectors || superblock.hasUnknownFeatures))
    return EINVAL;
  const state = assemble(blocks);
  const failed =
    state.tx.space.open(superblock.words, superblock.metadataSpaceAt) ??
    state.data.open(superblock.words, superblock.dataSpaceAt);
  if (failed !== undefined) return failed;
  state.devices.root = superblock.mappings;
  state.details.root = superblock.details;
  return state;
}

/** The trees of metadata that is there, for looking only: of the space maps nothing is read. @returns EILSEQ, ENOTBLK, EIO. */
export function openTrees(blocks: MetadataBlocks): { readonly superblock: Superblock; readonly state: MetadataState } | Errno {
  const block = blocks.read(SUPERBLOCK_LOCATION, "superblock");
  if (isErrno(block)) return block;
  const superblock = new Superblock(block.words);
  const state = assemble(blocks);
  state.devices.root = superblock.mappings;
  state.details.root = superblock.details;
  return { superblock, state };
}

/** Opens the metadata on a device, or makes it where the first block is all zeros and that is wanted. @returns EPERM where it is not. */
export function openOrFormat(
  blocks: MetadataBlocks,
  options: { readonly dataBlockSectors: number; readonly format: boolean },
): MetadataState | Errno {
  const blank = blocks.isBlank();
  if (isErrno(blank)) return blank;
  if (!blank) return openMetadata(blocks, options.dataBlockSectors);
  return options.format ? formatMetadata(blocks, options.dataBlockSectors) : EPERM;
}
