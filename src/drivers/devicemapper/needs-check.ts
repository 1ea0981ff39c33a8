/**
 * Whether a host has a thin pool that must be repaired before it can be used.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import { KIB } from "../../../sim/core/units.ts";
import { unseal } from "../../../sim/thin/sealed-block.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "../../../sim/thin/superblock.ts";
import { O_RDONLY } from "../../../sim/vfs/filesystem.ts";
import type { Task } from "../../../sim/vfs/task.ts";
import { DOCKER_ROOT } from "../docker-root.ts";

const POOL_METADATA = `${DOCKER_ROOT}/devicemapper/devicemapper/metadata`;

/**
 * Whether a thin pool is there that wants thin_check before anything in it may change: after an error in its metadata it is read-only, and a volume
 * whose filesystem has a journal to replay cannot be mounted.
 */
export function poolNeedsCheck(task: Task): boolean {
  const fd = task.open(POOL_METADATA, O_RDONLY);
  if (isErrno(fd)) return false;
  const superblock = task.pread(fd, KIB(4), 0);
  task.close(fd);
  if (isErrno(superblock)) return false;
  const block = unseal(superblock, SUPERBLOCK_LOCATION, "superblock");
  return !isErrno(block) && new Superblock(block.words).needsCheck;
}
