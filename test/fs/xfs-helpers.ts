/** An xfs on a fresh disk. */
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import { type MkfsOptions, mkfsXfs } from "../../sim/fs/xfs/mkfs.ts";
import { mountXfs } from "../../sim/fs/xfs/mount.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { type Inode, inodeHandle } from "../../sim/vfs/filesystem.ts";
import { type Lab, type Mounted, must, onOwnHost } from "./disk-helpers.ts";

export const ROOT: Inode = inodeHandle(128);

/** Mounts a device on a host of its own. */
export function mounted(device: BlockDevice, options: { projectQuota?: boolean } = {}): Mounted<Xfs> {
  return onOwnHost((environment) => mountXfs(device, { ...environment, ...options }));
}

export function lab(size: number, options: MkfsOptions & { projectQuota?: boolean } = {}): Lab<Xfs> {
  const disk = new Disk({ size });
  must(mkfsXfs(disk, options));
  disk.flush();
  const { projectQuota } = options;
  return { disk, ...mounted(disk, projectQuota === undefined ? {} : { projectQuota }) };
}
