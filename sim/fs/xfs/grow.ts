/**
 * Growing a filesystem to the size of its device (xfs_growfs, fs/xfs/xfs_fsops.c): the last group becomes whole, then groups are added.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Clock } from "../../core/clock.ts";
import { EBUSY, type Errno, isErrno } from "../../core/errno.ts";
import { newState } from "./assemble.ts";
import { BLOCK_SIZE, blocksIn, type Geometry, groupStart, SECTORS_PER_BLOCK } from "./layout.ts";
import { toolEnvironment } from "./mkfs.ts";
import { superblockOf } from "./mount.ts";
import { writeRecord } from "./records.ts";
import { needsRecovery } from "./recovery.ts";

/** XFS_MIN_AG_BLOCKS: a last group with less is left out. */
const GROUP_BLOCKS_MIN = 64;

function grownGeometry(before: Geometry, deviceBytes: number): Geometry {
  let blocks = Math.floor(deviceBytes / BLOCK_SIZE);
  const rest = blocks % before.groupBlocks;
  if (rest < GROUP_BLOCKS_MIN) blocks -= rest;
  return blocks <= before.blocks ? before : { ...before, blocks, groups: Math.ceil(blocks / before.groupBlocks) };
}

/**
 * Grows the filesystem on a device that is not mounted. Nothing to grow is a success.
 * @returns EBUSY where the log must be replayed first, or the device's error.
 */
export function growXfs(device: BlockDevice, clock: Clock): Errno | undefined {
  const found = superblockOf(device);
  if (isErrno(found)) return found;
  const before = found.geometry;
  const geometry = grownGeometry(before, device.size);
  if (geometry === before) return undefined;
  const dirty = needsRecovery(device, before);
  if (isErrno(dirty)) return dirty;
  if (dirty) return EBUSY;
  const state = newState(device, geometry, toolEnvironment(clock));
  for (const [project, blocks] of found.projects) state.projects.setLimit(project, blocks);
  for (const group of state.groups) {
    if (group.index >= before.groups) {
      group.format();
      group.dirtyAll();
    } else {
      const failed = group.load(device);
      if (failed !== undefined) return failed;
      const length = blocksIn(before, group.index);
      if (group.length > length) {
        group.giveRun(length, group.length - length);
        group.settleBusy(() => {});
      }
    }
    state.freeBlocks += group.countedFree;
  }
  let failed = state.log.writeRunning();
  for (const { index } of state.groups)
    failed ??= writeRecord(device, groupStart(geometry, index) * SECTORS_PER_BLOCK, state.freeze());
  return failed ?? device.flush();
}
