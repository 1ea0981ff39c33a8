/**
 * The types of filesystems that a host's kernel has, by the names that mount(8) and mkfs know.
 */
import { AUFS } from "./aufs.ts";
import { BTRFS } from "./btrfs.ts";
import { EXT4 } from "./ext4.ts";
import { OVERLAY } from "./overlay.ts";
import { TMPFS } from "./tmpfs.ts";
import type { FileSystemType } from "./types.ts";
import { XFS } from "./xfs.ts";
import { ZFS } from "./zfs.ts";

/** Every type there is, by its name. */
export const FILESYSTEMS: ReadonlyMap<string, FileSystemType> = new Map(
  [TMPFS, EXT4, XFS, BTRFS, OVERLAY, ZFS, AUFS].map((type) => [type.name, type]),
);
