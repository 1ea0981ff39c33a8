/**
 * ext4 as mkfs and mount(8) make it: the options that are known, and what the kernel logs about others.
 */
import type { BlockDevice } from "../block/device.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../core/errno.ts";
import { growExt4 } from "../fs/ext4/grow.ts";
import { type MkfsOptions, mkfsExt4 } from "../fs/ext4/mkfs.ts";
import { mountExt4 } from "../fs/ext4/mount.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { FileSystemType, HostParts, MountFailure, MountRequest } from "./types.ts";

/** mke2fs's options that are known: -i bytes an inode, -N inodes, -m reserved percent; -E see below. */
const MKE2FS: Readonly<Record<string, "inodeRatio" | "inodes" | "reservedPercent">> = {
  "-i": "inodeRatio",
  "-N": "inodes",
  "-m": "reservedPercent",
};

/** mke2fs's extended options that are known; those that are its default change nothing. @returns false for another one. */
function extended(known: { -readonly [K in keyof MkfsOptions]: MkfsOptions[K] }, text: string): boolean {
  for (const word of text.split(",")) {
    if (word === "nodiscard") known.noDiscard = true;
    else if (word === "lazy_itable_init=0") known.zeroTables = true;
    else if (!["discard", "lazy_itable_init=1", "lazy_journal_init=0", "lazy_journal_init=1"].includes(word)) return false;
  }
  return true;
}

function makeExt4(device: BlockDevice, options: string, clock: Clock): Errno | undefined {
  const known: { -readonly [K in keyof MkfsOptions]: MkfsOptions[K] } = { clock };
  const words = options.split(" ").filter((word) => word !== "");
  for (let at = 0; at < words.length; at += 2) {
    if (words[at] === "-E") {
      if (!extended(known, words[at + 1] ?? "")) return EINVAL;
      continue;
    }
    const key = MKE2FS[words[at] as string];
    const value = Number(words[at + 1]);
    if (key === undefined || !Number.isInteger(value) || value < 0) return EINVAL;
    known[key] = value;
  }
  return mkfsExt4(device, known);
}

/** Options of mount -o that change nothing here: they name what is the default. */
const EXT4_DEFAULTS: ReadonlySet<string> = new Set(["", "rw", "data=ordered", "nodiscard", "delalloc", "user_xattr", "acl"]);

function mountOnDevice(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const attached = host.device(request.source);
  if (attached === undefined) return { errno: ENOENT, message: `Can't open blockdev ${request.source}` };
  const words = data.split(",");
  const unknown = words.find((word) => word !== "discard" && !EXT4_DEFAULTS.has(word));
  if (unknown !== undefined) return { errno: EINVAL, message: `EXT4-fs: Unknown parameter '${unknown}'` };
  const { names, clock, events, cache, allocations, kernel } = host;
  const label = `ext4:${request.source}`;
  const how = { device: attached.number, label, discard: words.includes("discard"), profile: kernel.ext4 };
  const mounted = mountExt4(attached.device, { names, clock, events, cache, allocations, ...how });
  if (!isErrno(mounted)) return mounted;
  const message = mounted === EINVAL ? `EXT4-fs (${request.source}): VFS: Can't find ext4 filesystem` : "";
  return { errno: mounted, message };
}

/** ext4. */
export const EXT4: FileSystemType = { name: "ext4", make: makeExt4, grow: growExt4, mount: mountOnDevice };
