/** An ext4 on a fresh disk. */
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import type { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import { mkfsExt4 } from "../../sim/fs/ext4/mkfs.ts";
import { mountExt4 } from "../../sim/fs/ext4/mount.ts";
import { type Inode, inodeHandle } from "../../sim/vfs/filesystem.ts";
import { type Lab, type Mounted, must, onOwnHost } from "./disk-helpers.ts";

export const ROOT: Inode = inodeHandle(2);

/** Mounts a device on a host of its own. */
export function mounted(device: BlockDevice, privileged?: () => boolean): Mounted<Ext4> {
  return onOwnHost((environment) => mountExt4(device, privileged === undefined ? environment : { ...environment, privileged }));
}

/** @param sectorSize - 4096: a drive that never tears a block, as e2fsck is needed where one tears the superblock. */
export function lab(size: number, options: { privileged?: () => boolean; sectorSize?: number } = {}): Lab<Ext4> {
  const disk = new Disk({ size, sectorSize: options.sectorSize ?? 512 });
  must(mkfsExt4(disk));
  disk.flush();
  return { disk, ...mounted(disk, options.privileged) };
}
