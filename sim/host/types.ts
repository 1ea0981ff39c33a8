/**
 * What a type of filesystem is to a host, and what it takes from one. Each type has a file of its own beside this one.
 */
import type { BlockDevice } from "../block/device.ts";
import type { Allocations } from "../core/allocations.ts";
import type { Clock } from "../core/clock.ts";
import type { Errno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import type { KernelProfile } from "../core/kernel-profile.ts";
import type { NameTable } from "../core/names.ts";
import type { Random } from "../core/random.ts";
import type { DeviceNumber } from "../core/units.ts";
import type { Pool } from "../cow/zfs/pool.ts";
import type { LowerViews } from "../union/lower-views.ts";
import type { InUse } from "../union/overlayfs/in-use.ts";
import type { FileSystem, Inode } from "../vfs/filesystem.ts";
import type { Position } from "../vfs/mount.ts";
import type { PageCache } from "../vfs/page-cache.ts";
import type { Vfs } from "../vfs/vfs.ts";

/** A block device that the host knows by a name. */
export interface AttachedDevice {
  readonly device: BlockDevice;
  /** st_rdev of its node, and st_dev of a filesystem on it. */
  readonly number: DeviceNumber;
}

/** What a filesystem takes from its host. */
export interface HostParts {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly names: NameTable;
  readonly random: Random;
  readonly cache: PageCache;
  readonly kernel: KernelProfile;
  /** Allocations of space, some of which a test may fail. */
  readonly allocations: Allocations;
  /** Merged views of lower layers that several mounts share. */
  readonly views: LowerViews;
  /** The upper and work directories of mounted overlays. */
  readonly inUse: InUse;
  /** Pools of zfs that are imported, by name. */
  readonly pools: Map<string, Pool>;
  /** The block device of a name, such as "vda". */
  device(name: string): AttachedDevice | undefined;
  /** A filesystem that is mounted already, or still used. */
  mounted(is: (fs: FileSystem) => boolean): FileSystem | undefined;
  /** Begins a watch on an inode; what it returns ends it. */
  readonly watch: Vfs["watch"];
  /** A new st_dev for a filesystem without a device (kernel: get_anon_bdev). */
  anonymousNumber(): DeviceNumber;
  /** The place of a path of mount options; a relative one begins at `directory`. */
  resolve(path: string, directory: string): Position | Errno;
}

/** What mount(8) is asked for. */
export interface MountRequest {
  /** The filesystem's type: "ext4", "tmpfs", "overlay". */
  readonly type: string;
  /** A block device's name ("vda"), or anything for types without one. */
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
  /** Whether a kernel was built with it; absent: every one is. */
  readonly isIn?: (kernel: KernelProfile) => boolean;
  /** mkfs; absent for types that need no device. `options` as given to the tool. */
  readonly make?: (device: BlockDevice, options: string, clock: Clock) => Errno | undefined;
  /** resize2fs, xfs_growfs: grows the filesystem to its device's size; absent for types that cannot. */
  readonly grow?: (device: BlockDevice, clock: Clock) => Errno | undefined;
  /** @param data - the options that are not mount(8)'s own. */
  readonly mount: (host: HostParts, request: MountRequest, data: string) => FileSystem | MountFailure;
  /** What of it the mount shows; absent: its root. */
  readonly top?: (fs: FileSystem, host: HostParts, data: string) => Inode | MountFailure;
}

/** Whether an answer is a MountFailure. */
export function isMountFailure(value: FileSystem | Inode | MountFailure | undefined): value is MountFailure {
  return typeof value === "object" && "errno" in value;
}
