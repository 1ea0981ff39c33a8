/** Mounting: recovery from the log, groups into memory, inodes without names freed (fs/xfs/xfs_mount.c: xfs_mountfs). */
import type { BlockDevice } from "../../block/device.ts";
import { EINVAL, EIO, type Errno, isErrno } from "../../core/errno.ts";
import { newState } from "./assemble.ts";
import { BLOCKS, PROJECT } from "./inodes.ts";
import { BLOCK_SIZE, CHUNK_INODES, CLUSTER_INODES, groupInodes, rootInode, SECTOR_SIZE } from "./layout.ts";
import { freeWhole } from "./namei.ts";
import { readRecord, type SuperblockRecord } from "./records.ts";
import { recoverLog } from "./recovery.ts";
import { freeStaging } from "./shared.ts";
import type { XfsEnvironment, XfsState } from "./state.ts";
import { unlinkedInodes } from "./unlinked.ts";
import { Xfs } from "./xfs.ts";

/** The superblock of the filesystem on a device. @returns EINVAL when there is none. */
export function superblockOf(device: BlockDevice): SuperblockRecord | Errno {
  const record = readRecord(device, 0, SECTOR_SIZE);
  if (isErrno(record)) return record;
  return record?.kind === "xfs.superblock" ? record : EINVAL;
}

/**
 * Mounts the filesystem on a device.
 * @returns EINVAL when there is none ("bad superblock"), EIO or EUCLEAN when its metadata cannot be read; EIO, too, when the device is too short.
 */
export function mountXfs(device: BlockDevice, environment: XfsEnvironment): Xfs | Errno {
  const found = superblockOf(device);
  if (isErrno(found)) return found;
  // xfs_check_sizes reads the last block.
  if (found.geometry.blocks * BLOCK_SIZE > device.size) return EIO;
  const state = newState(device, found.geometry, environment);
  const recovered = recoverLog(device, found.geometry);
  if (isErrno(recovered)) return recovered;
  const superblock = superblockOf(device);
  if (isErrno(superblock)) return superblock;
  state.log.resume(recovered.head, recovered.checkpoint);
  const failed = loadGroups(state);
  if (failed !== undefined) return failed;
  state.hasAttributes = superblock.hasAttributes;
  for (const [project, blocks] of superblock.projects) state.projects.setLimit(project, blocks);
  const unread =
    state.reach(rootInode(found.geometry)) ??
    (state.projects.enforced ? countProjects(state) : undefined) ??
    (recovered.replayed > 0 ? recoverInodes(state) : undefined);
  return unread ?? new Xfs(state);
}

/** The superblock's count of free blocks is only written at the end of a mount; the groups' are logged. */
function loadGroups(state: XfsState): Errno | undefined {
  for (const group of state.groups) {
    const failed = group.load(state.device);
    if (failed !== undefined) return failed;
    state.freeBlocks += group.countedFree;
  }
  return undefined;
}

/** xfs_qm_quotacheck: what each project uses, from all inodes. */
function countProjects(state: XfsState): Errno | undefined {
  let unread: Errno | undefined;
  for (const group of state.groups) {
    const base = group.index * groupInodes(state.geometry);
    group.inodes.visit(([first = 0]) => {
      for (let at = 0; at < CHUNK_INODES; at += CLUSTER_INODES) unread ??= state.reach(base + first + at);
    });
  }
  state.visitInodes((ino) => state.projects.charge(state.word(ino, PROJECT), state.word(ino, BLOCKS)));
  return unread;
}

/** What was in use without a name, and what copy-on-write forks held, is freed. */
function recoverInodes(state: XfsState): Errno | undefined {
  const found = unlinkedInodes(state);
  if (isErrno(found)) return found;
  for (const ino of found) freeWhole(state, ino);
  freeStaging(state);
  return state.log.error;
}
