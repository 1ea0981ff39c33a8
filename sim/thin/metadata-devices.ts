/**
 * Making and deleting devices, and metadata snapshots: what the pool's messages ask for (drivers/md/dm-thin-metadata.c;
 * spec/block-cow.md §1.3).
 *
 * Interface: each gives undefined or an error; a missing device is one that exists EEXIST, one in use EBUSY.
 */
import { EBUSY, EEXIST, EINVAL, type Errno, isErrno } from "../core/errno.ts";
import { BTree } from "./btree.ts";
import { deleteTree } from "./btree-delete.ts";
import { insert } from "./btree-insert.ts";
import { remove } from "./btree-remove.ts";
import { get64, set64 } from "./metadata-block.ts";
import { DETAILS_SIZE, type DeviceDetails, type MetadataState } from "./metadata-state.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";
import type { ThinDevice } from "./thin-metadata.ts";

/** What is needed here of the metadata. */
interface ChangingMetadata {
  readonly time: number;
  readonly transaction: number;
  change(): MetadataState | Errno;
  advanceTime(): number;
  device(id: number): ThinDevice | Errno;
  addDevice(id: number, details: DeviceDetails, changed: boolean): ThinDevice;
  noteChange(device: ThinDevice): void;
  forgetDevice(id: number): void;
  commitWithin(): Errno | undefined;
  changeSuperblock(): Superblock | Errno;
}

function rootValue(root: number): Uint32Array {
  const value = new Uint32Array(2);
  set64(value, 0, root);
  return value;
}

/** Makes an empty device. */
export function createThin(metadata: ChangingMetadata, id: number): Errno | undefined {
  const state = metadata.change();
  if (isErrno(state)) return state;
  // An error of reading is no answer: the insertion will meet it, too (__create_thin, __create_snap).
  if (!isErrno(metadata.device(id))) return EEXIST;
  const mappings = new BTree(state.tx, state.mappingType);
  const failed = mappings.create() ?? insert(state.devices, id, rootValue(mappings.root));
  if (failed !== undefined) return failed;
  const now = metadata.time;
  metadata.addDevice(id, { mapped: 0, transaction: metadata.transaction, creationTime: now, snapshotTime: now }, true);
  return undefined;
}

/** Makes a device that shares its origin's mappings. O(1): one reference more for the root of the origin's tree. */
export function createSnap(metadata: ChangingMetadata, id: number, originId: number): Errno | undefined {
  const state = metadata.change();
  if (isErrno(state)) return state;
  // An error of reading is no answer: the insertion will meet it, too (__create_thin, __create_snap).
  if (!isErrno(metadata.device(id))) return EEXIST;
  const hit = state.devices.find(originId);
  if (isErrno(hit)) return hit;
  const root = get64(hit.words, hit.valueAt);
  const failed = state.tx.space.inc(root, root + 1) ?? insert(state.devices, id, rootValue(root));
  if (failed !== undefined) return failed;
  const now = metadata.advanceTime();
  const origin = metadata.device(originId);
  if (isErrno(origin)) return origin;
  origin.details.snapshotTime = now;
  metadata.noteChange(origin);
  const { mapped } = origin.details;
  metadata.addDevice(id, { mapped, transaction: metadata.transaction, creationTime: now, snapshotTime: now }, true);
  return undefined;
}

/** Deletes a device with its mappings. O(its own nodes). */
export function deleteDevice(metadata: ChangingMetadata, id: number): Errno | undefined {
  const state = metadata.change();
  if (isErrno(state)) return state;
  const device = metadata.device(id);
  if (isErrno(device)) return device;
  if (device.open > 0) return EBUSY;
  metadata.forgetDevice(id);
  return remove(state.details, id) ?? remove(state.devices, id);
}

/** Holds the metadata as of now for readers: a copy of the superblock, and a reference more for both trees. */
export function reserveMetadataSnap(metadata: ChangingMetadata): Errno | undefined {
  const state = metadata.change();
  if (isErrno(state)) return state;
  const { tx } = state;
  const failed = metadata.commitWithin() ?? tx.space.inc(SUPERBLOCK_LOCATION, SUPERBLOCK_LOCATION + 1);
  if (failed !== undefined) return failed;
  const block = tx.shadow(SUPERBLOCK_LOCATION, "superblock");
  if (isErrno(block)) return block;
  const copy = new Superblock(block.words);
  if (copy.held !== 0) return tx.space.dec(block.location, block.location + 1) ?? EBUSY;
  copy.clearSpaceMaps();
  for (const root of [copy.mappings, copy.details]) {
    const wrong = tx.space.inc(root, root + 1);
    if (wrong !== undefined) return wrong;
  }
  const superblock = metadata.changeSuperblock();
  if (isErrno(superblock)) return superblock;
  superblock.held = block.location;
  return undefined;
}

/** Gives the held metadata up. @returns EINVAL where there is none. */
export function releaseMetadataSnap(metadata: ChangingMetadata): Errno | undefined {
  const state = metadata.change();
  if (isErrno(state)) return state;
  const superblock = metadata.changeSuperblock();
  if (isErrno(superblock)) return superblock;
  const { held } = superblock;
  if (held === 0) return EINVAL;
  superblock.held = 0;
  const block = state.tx.read(held, "superblock");
  if (isErrno(block)) return block;
  const copy = new Superblock(block.words);
  const { tx } = state;
  return (
    deleteTree(tx, copy.mappings, state.devices.type) ??
    deleteTree(tx, copy.details, { size: DETAILS_SIZE }) ??
    tx.space.dec(held, held + 1)
  );
}
