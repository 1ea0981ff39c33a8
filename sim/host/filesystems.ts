/**
 * The types of filesystems that a host's kernel has, by the names that mount(8) and mkfs know.
 */
import type { Disk } from "../block/disk.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import type { KernelProfile } from "../core/kernel-profile.ts";
import type { NameTable } from "../core/names.ts";
import type { Random } from "../core/random.ts";
import { bytes, type DeviceNumber } from "../core/units.ts";
import { type MkfsOptions, mkfsExt4 } from "../fs/ext4/mkfs.ts";
import { mountExt4 } from "../fs/ext4/mount.ts";
import { Tmpfs } from "../fs/tmpfs.ts";
import type { LowerViews } from "../union/lower-view.ts";
import { mountOverlayPaths } from "../union/overlayfs/mount.ts";
import { parseOptions } from "../union/overlayfs/options.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { Position } from "../vfs/mount.ts";
import type { PageCache } from "../vfs/page-cache.ts";

/** What a filesystem takes from its host. */
export interface HostParts {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly names: NameTable;
  readonly random: Random;
  readonly cache: PageCache;
  readonly kernel: KernelProfile;
  readonly disks: ReadonlyMap<string, Disk>;
  /** Merged views of lower layers that several mounts share. */
  readonly views: LowerViews;
  /** st_dev of a disk's filesystem. */
  diskNumber(name: string): DeviceNumber;
  /** A new st_dev for a filesystem without a device (kernel: get_anon_bdev). */
  anonymousNumber(): DeviceNumber;
  /** The place of a path of mount options; a relative one begins at `directory`. */
  resolve(path: string, directory: string): Position | Errno;
}

/** What mount(8) is asked for. */
export interface MountRequest {
  /** The filesystem's type: "ext4", "tmpfs", "overlay". */
  readonly type: string;
  /** A disk's name ("vda"), or anything for types without a device. */
  readonly source: string;
  /** The folder to mount on. */
  readonly target: string;
  /** As behind -o, separated by commas. */
  readonly options?: string;
  /** Where relative paths in the options begin. Default "/". */
  readonly directory?: string;
}

/** Why a mount failed: mount(2)'s error, and the kernel's log line where it writes one. */
export interface MountFailure {
  readonly errno: Errno;
  readonly message: string;
}

/** A type of filesystem that the host's kernel has. */
export interface FileSystemType {
  readonly name: string;
  /** mkfs; absent for types that need no device. `options` as given to the tool. */
  readonly make?: (disk: Disk, options: string, clock: Clock) => Errno | undefined;
  /** @param data - the options that are not mount(8)'s own. */
  readonly mount: (host: HostParts, request: MountRequest, data: string) => FileSystem | MountFailure;
}

/** Whether an answer is a MountFailure. */
export function isMountFailure(value: FileSystem | MountFailure | undefined): value is MountFailure {
  return value !== undefined && "errno" in value;
}

const SIZE = /^(\d+)([kmgtp%]?)$/i;
const POWERS = "kmgtp";

/** A size of a tmpfs option: bytes, with a unit, or a share of memory in percent; undefined for anything else. */
function sizeOf(text: string, memory: number): number | undefined {
  const parts = SIZE.exec(text);
  if (parts === null) return undefined;
  const unit = (parts[2] ?? "").toLowerCase();
  if (unit === "%") return Math.floor((Number(parts[1]) * memory) / 100);
  return Number(parts[1]) * 1024 ** (unit === "" ? 0 : POWERS.indexOf(unit) + 1);
}

function mountTmpfs(host: HostParts, _request: MountRequest, data: string): FileSystem | MountFailure {
  const options: { size?: ReturnType<typeof bytes>; inodes?: number; mode?: number } = {};
  for (const word of data.split(",").filter((one) => one !== "")) {
    const [key = "", text = ""] = word.split("=", 2);
    const number = key === "mode" ? Number.parseInt(text, 8) : sizeOf(text, host.cache.memoryPages * PAGE_SIZE);
    if (number === undefined || Number.isNaN(number)) return { errno: EINVAL, message: `tmpfs: Bad value for '${key}'` };
    if (key === "size") options.size = bytes(number);
    else if (key === "nr_inodes") options.inodes = number;
    else if (key === "mode") options.mode = number;
    else return { errno: EINVAL, message: `tmpfs: Unknown parameter '${key}'` };
  }
  return new Tmpfs(host, { ...options, device: host.anonymousNumber() });
}

function mountUnion(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const parsed = parseOptions(data);
  if ("errno" in parsed) return parsed;
  const { names, clock, events, views } = host;
  const parts = { names, clock, events, views, profile: host.kernel, newDevice: () => host.anonymousNumber() };
  return mountOverlayPaths(parts, parsed, (path) => {
    const place = host.resolve(path, request.directory ?? "/");
    return isErrno(place) ? place : { fs: place.mount.fs, inode: place.inode };
  });
}

/** mke2fs's options that are known: -i bytes an inode, -N inodes, -m reserved percent. */
const MKE2FS: Readonly<Record<string, "inodeRatio" | "inodes" | "reservedPercent">> = {
  "-i": "inodeRatio",
  "-N": "inodes",
  "-m": "reservedPercent",
};

function makeExt4(disk: Disk, options: string, clock: Clock): Errno | undefined {
  const known: { -readonly [K in keyof MkfsOptions]: MkfsOptions[K] } = { clock };
  const words = options.split(" ").filter((word) => word !== "");
  for (let at = 0; at < words.length; at += 2) {
    const key = MKE2FS[words[at] as string];
    const value = Number(words[at + 1]);
    if (key === undefined || !Number.isInteger(value) || value < 0) return EINVAL;
    known[key] = value;
  }
  return mkfsExt4(disk, known);
}

/** Options of mount -o that change nothing here: they name what is the default. */
const EXT4_DEFAULTS: ReadonlySet<string> = new Set(["", "rw", "data=ordered", "nodiscard", "delalloc", "user_xattr", "acl"]);

function mountDisk(host: HostParts, request: MountRequest, data: string): FileSystem | MountFailure {
  const disk = host.disks.get(request.source);
  if (disk === undefined) return { errno: ENOENT, message: `Can't open blockdev ${request.source}` };
  const words = data.split(",");
  const unknown = words.find((word) => word !== "discard" && !EXT4_DEFAULTS.has(word));
  if (unknown !== undefined) return { errno: EINVAL, message: `EXT4-fs: Unknown parameter '${unknown}'` };
  const { names, clock, events, cache } = host;
  const device = host.diskNumber(request.source);
  const label = `ext4:${request.source}`;
  const mounted = mountExt4(disk, { names, clock, events, cache, device, label, discard: words.includes("discard") });
  if (!isErrno(mounted)) return mounted;
  const message = mounted === EINVAL ? `EXT4-fs (${request.source}): VFS: Can't find ext4 filesystem` : "";
  return { errno: mounted, message };
}

const EXT4: FileSystemType = { name: "ext4", make: makeExt4, mount: mountDisk };
const TMPFS: FileSystemType = { name: "tmpfs", mount: mountTmpfs };
const OVERLAY: FileSystemType = { name: "overlay", mount: mountUnion };

/** Every type there is, by its name. */
export const FILESYSTEMS: ReadonlyMap<string, FileSystemType> = new Map([TMPFS, EXT4, OVERLAY].map((type) => [type.name, type]));
