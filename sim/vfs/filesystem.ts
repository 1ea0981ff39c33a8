/**
 * FileSystem: what the VFS asks of a filesystem, after the kernel's inode, file, super and xattr operations (include/linux/fs.h).
 * ext4, tmpfs, overlayfs, aufs, btrfs … implement it; a union mount implements it over other FileSystems.
 *
 * Words:
 * - An *inode* is named by a handle, an `Inode`: a whole number below 2^53, its filesystem's own, valid while it has a name, is held (`hold`) or open; not st_ino.
 * - A *name* is interned in the host's NameTable. "." and ".." are never passed: the walk resolves them (`parentOf`).
 * - A *file* is what `open` returns, also a number: what the calls on an open file take. For most filesystems it is the inode itself.
 *
 * Interface:
 * - The VFS has checked before it calls: that directories are directories, names are ≤ NAME_MAX, permissions, sticky bits,
 *   read-only mounts, EXDEV between mounts, and computed owner and mode of new inodes. A FileSystem checks what only it can know.
 * - A call that returns an Errno has changed nothing, unless its comment says so.
 * - Timestamps: a FileSystem stamps ctime and mtime with its clock's `time()`; with FS_MGTIME by `changeTime` if `getattr` told them since.
 * - Nothing here is asynchronous; nothing throws but for bugs.
 */
import type { Time } from "../core/clock.ts";
import type { Content } from "../core/content.ts";
import type { Errno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
import type { Bytes, DeviceNumber, InodeNumber } from "../core/units.ts";
import type { CopyRange } from "./copy-range.ts";
import type { Credentials } from "./credentials.ts";
import type { DirectIo } from "./direct-io.ts";
import type { FileHandles } from "./file-handles.ts";
import type { Acl, AclKind, NewAcls } from "./posix-acl.ts";

declare const inode: unique symbol;
declare const file: unique symbol;
/** A filesystem's own handle of an inode. */
export type Inode = number & { readonly [inode]: "Inode" };
/** A filesystem's own handle of an open file. */
export type FileHandle = number & { readonly [file]: "FileHandle" };

/** File type bits of a mode (include/uapi/linux/stat.h). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
/** Flags of renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;
/** Flags of setxattr(2). */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
/** Flags of fallocate(2) (include/uapi/linux/falloc.h). */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_COLLAPSE_RANGE = 8;
export const FALLOC_FL_ZERO_RANGE = 16;
export const FALLOC_FL_INSERT_RANGE = 32;
export const FALLOC_FL_UNSHARE_RANGE = 64;

/** Flags of open(2), as on x86-64. */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
/** FMODE_READ and FMODE_WRITE. */
export const READS = 1;
export const WRITES = 2;
/** What open(2) gives by its flags: to read, to write, both, or neither where O_WRONLY and O_RDWR are given together (OPEN_FMODE). */
export function accessOf(flags: number): number {
  return (flags + 1) & O_ACCMODE;
}
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_DIRECT = 0o40000;
export const O_LARGEFILE = 0o100000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20200000;

/** What stat(2) tells. `getattr` fills one that the caller made. */
export interface Attributes {
  /** Type and permission bits. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: number;
  /** In 512-byte units. */
  blocks: number;
  /** Preferred I/O size in bytes. */
  blockSize: number;
  /** Of a device node: major and minor by units.ts; else 0. */
  rdev: number;
  inodeNumber: InodeNumber;
  device: DeviceNumber;
  atime: Time;
  mtime: Time;
  ctime: Time;
}

/** What changes in setattr; a field that is absent stays. The VFS has applied the set-id rules to `mode`. */
export interface AttributeChange {
  /** Permission bits (07777); the type stays. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** A new size of a regular file: cuts, or grows by a hole. */
  readonly size?: number;
  readonly atime?: Time | "now";
  readonly mtime?: Time | "now";
}

/** A new inode, its owner and mode computed by the VFS (inode_init_owner). */
export interface NewInode {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a device node; else 0. */
  readonly rdev: number;
  /** Of a symbolic link; else "". */
  readonly target: string;
  /** What the directory's default list gives to it; absent where the directory has none. `mode` agrees with the access list. */
  readonly acls?: NewAcls;
}

/** What statfs(2) tells. */
export interface StatFs {
  /** The type's magic number (include/uapi/linux/magic.h). */
  readonly type: number;
  readonly blockSize: Bytes;
  readonly blocks: number;
  readonly blocksFree: number;
  /** Free for those without CAP_SYS_RESOURCE. */
  readonly blocksAvailable: number;
  /** Inodes in all and free; 0 where they are not counted. */
  readonly files: number;
  readonly filesFree: number;
  readonly nameLength: number;
}

/**
 * Projects: trees of inodes whose blocks are counted together, and how many they may have (FS_IOC_FSSETXATTR and quotactl(2) with PRJQUOTA;
 * include/uapi/linux/fs.h, dqblk_xfs.h). Whatever belongs to none is of project 0.
 */
export interface ProjectQuota {
  /** Whether blocks are counted and limits kept, as Q_XGETQSTAT tells (FS_QUOTA_PDQ_ACCT, FS_QUOTA_PDQ_ENFD). */
  readonly enforced: boolean;
  /** The project of an inode (fsx_projid). */
  projectOf(inode: Inode): number;
  /**
   * Gives one inode to a project, whatever the project's limit is.
   * @param project - from 0 to 2^32 - 1.
   * @param inherit - of a directory: whether what is made in it will belong to its project (FS_XFLAG_PROJINHERIT); other inodes have no such flag.
   */
  setProject(inode: Inode, project: number, inherit: boolean): Errno | undefined;
  /**
   * Q_XSETPQLIM: a project's hard limit, and its soft limit with it.
   * @param size - in bytes, counted in whole blocks; 0: no limit any more. @returns ENOSYS where limits are not kept.
   */
  setLimit(project: number, size: Bytes): Errno | undefined;
}

/** One directory entry: its name, its d_ino, and the type bits of its mode (S_IFMT). */
export type VisitEntry = (name: Name, inodeNumber: number, type: number) => void;

/**
 * What lets a walk trust a path that it has walked before, by a filesystem whose inode handles are below 2^31 and whose `lookup` of a name that
 * it knows changes nothing.
 */
export interface WalkedPaths {
  /** Another number whenever a directory has come to another place, or one of several names of an inode has gone. */
  readonly epoch: number;
  /**
   * Whether the inode is found under that name of that directory, of an inode that was at the same `epoch`; never for a symbolic link. Looks at
   * the inode alone; "no" only means that the name has to be looked up.
   */
  isAt(inode: Inode, directory: Inode, name: Name): boolean;
}

export interface FileSystem {
  /** The type as mount(8) names it: "ext4", "tmpfs", "overlay". */
  readonly type: string;
  /** What reports and events call this instance. */
  readonly label: string;
  readonly root: Inode;
  /** st_dev of the filesystem; single inodes may show another (Attributes.device). */
  readonly device: DeviceNumber;
  /** The longest name in bytes. */
  readonly nameMax: number;
  /** Whether chown to an owner, also the same, takes the set-id bits of a directory too, unless root does it (zfs: secpolicy_setid_clear). Absent: no. */
  readonly dropsSetIdOfDirectories?: boolean;
  /** Whether a mode that changes beside an owner is asked of the mounter below, who has every capability (ovl_setattr). Absent: of who changes it. */
  readonly setsModesAsMounter?: boolean;
  /** How many filesystems are stacked below: 0 for a real one (kernel: s_stack_depth). */
  readonly stackDepth: number;
  /** Absent, or undefined for now: every path is walked step by step. */
  readonly walked?: WalkedPaths | undefined;

  // Names
  /** @returns the inode, or ENOENT (or EIO where metadata cannot be read). */
  lookup(directory: Inode, name: Name): Inode | Errno;
  /** The directory above a directory; the root's is itself. */
  parentOf(directory: Inode): Inode;
  /** Makes any inode but a hard link under a name that does not exist: kernel create, mkdir, symlink and mknod in one. */
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno;
  /** An inode without a name (O_TMPFILE), held once for the caller; `link` may name it. */
  tmpfile(directory: Inode, init: NewInode): Inode | Errno;
  link(source: Inode, directory: Inode, name: Name): Errno | undefined;
  /** How many names an inode has by its own count (i_nlink), where getattr tells that of what lies below. Absent, or undefined: the two are one. */
  ownLinks?(inode: Inode): number | undefined;
  unlink(directory: Inode, name: Name): Errno | undefined;
  /** @returns ENOTEMPTY (EEXIST on xfs) when the directory has entries. */
  rmdir(directory: Inode, name: Name): Errno | undefined;
  /** Whether the whiteout of RENAME_WHITEOUT takes after the directory which receives the name, as to its group (xfs_rename); else after the one that loses it. */
  readonly whiteoutsFollowTarget?: boolean;
  /**
   * The VFS has checked existence, kinds and ancestry; `flags` are RENAME_*. A target that exists is replaced.
   * @param whiteout - what RENAME_WHITEOUT leaves at the old name; absent: one of root's.
   */
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number, whiteout?: NewInode): Errno | undefined;
  /** A filesystem's own check of what the permission bits allow. @param mask - MAY_* bits. @returns EACCES, EROFS. */
  refuse?(who: Credentials, inode: Inode, mask: number): Errno | undefined;
  /** Whether that is asked of writing, and of other attributes, before modes and owners are (btrfs_permission, btrfs_setattr). Absent: after. */
  readonly refusesFirst?: boolean;
  /** Told before names are made, removed or moved, by a filesystem that asks permissions of what lies below it: whose call it is. */
  actFor?(who: Credentials): void;
  /** Visits every entry but "." and "..", in the filesystem's own order. */
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined;
  readlink(link: Inode): string | Errno;
  /** Told when something is mounted on a directory, and when nothing is any more (d_mountpoint); absent where names never go by themselves. */
  cover?(directory: Inode, isCovered: boolean): void;

  // Inodes. Of the handle of one that is gone, getattr tells ESTALE, or that it has no link.
  /** Keeps an inode alive without a name (kernel: igrab); pairs with `drop`. */
  hold(inode: Inode): void;
  /** Ends a hold; the last one of an inode without names frees it (kernel: iput). */
  drop(inode: Inode): void;
  /** Type and permission bits: what a path walk needs, cheaply. */
  mode(inode: Inode): number;
  /** The type bits alone, where they are to be had more cheaply: what each step of a path walk asks (`typeOf`). */
  fileType?(inode: Inode): number;
  uid(inode: Inode): number;
  gid(inode: Inode): number;
  size(inode: Inode): number;
  /** @param tells - whether for somebody who asks for ctime and mtime (fill_mg_cmtime), as stat(2) does. Default: for the kernel's own use. */
  getattr(inode: Inode, into: Attributes, tells?: boolean): Errno | undefined;
  setattr(inode: Inode, change: AttributeChange): Errno | undefined;
  /** Sets atime by the relatime rule, or (strict) always: touch_atime. @param above - for an inode of overlayfs, with no fine times (ovl_update_time) */
  touchAtime(inode: Inode, above?: boolean, strict?: boolean): void;

  // Extended attributes; names come whole, such as "user.k". A write that takes a capability away says to removexattr that it is one.
  /** @returns ENODATA when there is none, ENOTSUP for a namespace that it does not keep. */
  getxattr(inode: Inode, name: string): Uint8Array | Errno;
  /** @param flags - 0, XATTR_CREATE (1) or XATTR_REPLACE (2). @returns also ENOSPC, E2BIG, ERANGE. */
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined;
  /** Which calls get a namespace without a name in it too, such as "user.": a union copies up before what lies below refuses it. */
  readonly takesBareNamespaces?: "setxattr" | "setxattr and removexattr";
  removexattr(inode: Inode, name: string, isWrite?: boolean): Errno | undefined;
  listxattr(inode: Inode): string[] | Errno;

  // Access control lists: acl and setAcl are both there, or none (SB_POSIXACL). The xattrs system.posix_acl_* come here, but for listxattr.
  /** An inode's list; undefined where it has none: then its mode says all. */
  readonly acl?: ((inode: Inode, kind: AclKind) => Acl | undefined) | undefined;
  /** The access list that permissions ask, where it is not for `acl` to tell: a union's branches may keep lists that its own calls do not reach. */
  aclAsked?(inode: Inode): Acl | undefined;
  /**
   * Sets a list, or removes it; not of a symbolic link; a default one of a directory alone. One that says no more than a mode is not kept (`keptAcl`).
   * @param mode - the permission bits with it; absent: as they are. A removal leaves them to most filesystems so. @returns also ENOSPC.
   */
  readonly setAcl?: ((inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number) => Errno | undefined) | undefined;

  // Open files
  /**
   * Begins an open file (not for O_PATH). A union mount copies up here; with O_TRUNC in `flags` without data. The VFS truncates afterwards
   * by `setattr`. Holds the inode until `close`.
   */
  open(inode: Inode, flags: number): FileHandle | Errno;
  close(file: FileHandle, flags: number): void;
  /** Begins what has no file here, of O_PATH, a device or a FIFO, to keep its name; `close` ends it. Absent: its inode is held. */
  openHeld?(inode: Inode): FileHandle;
  /** What follows is asked by a descriptor: it means the name by which the file was opened, where that matters (a union's copy-up). */
  byDescriptor?(file: FileHandle): void;
  /** Whether the name by which a file was opened is still good for a walk that begins and ends with it (d_weak_revalidate). @returns ESTALE. */
  weakRevalidate?(file: FileHandle): Errno | undefined;
  /** At most `length` bytes from `offset` on; fewer at the end of the file, none behind it. */
  read(file: FileHandle, offset: number, length: number): Content | Errno;
  /** Whether a read of no bytes sets atime like any other (tmpfs). Absent: it does nothing. */
  readonly stampsEmptyReads?: boolean;
  /** What a mapping (mmap) reads, where that is not what `read` does: zfs, whose read passes the page cache by. Absent: `read`. */
  readMapped?(file: FileHandle, offset: number, length: number): Content | Errno;
  /** What a store into a shared mapping does that was read through, where that is not what `write` does: tmpfs. */
  writeMapped?(file: FileHandle, offset: number, content: Content): number | Errno;
  /** @returns how many bytes were written: fewer than given when space runs out in between. */
  write(file: FileHandle, offset: number, content: Content): number | Errno;
  /** What direct I/O asks of a file's ranges; undefined or absent: nothing. */
  readonly directIo?: ((file: FileHandle) => DirectIo | undefined) | undefined;
  /** A write of no bytes, or a shared mapping of a file open for writing, by a filesystem in which that does something: aufs copies up. */
  writeNothing?(file: FileHandle): Errno | undefined;
  fsync(file: FileHandle, dataOnly: boolean): Errno | undefined;
  /** The FALLOC_FL_* bits that `fallocate` knows: others are refused before set-id bits go. Absent: whatever it refuses, it refuses then. */
  readonly fallocateModes?: number;
  /** @param mode - FALLOC_FL_* bits. @returns ENOSPC, of which ext4 leaves what blocks there were. */
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined;
  /** SEEK_DATA (`hole` false) or SEEK_HOLE. @returns ENXIO at or behind the end, and before 0 where nothing else is known. */
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno;
  /** The furthest position in a file, or in any, where that is nearer than 2^63 - 1 (s_maxbytes). */
  positionMax?(file?: FileHandle): number | undefined;
  /** The position behind a directory's last entry (SEEK_END, SEEK_HOLE); 2^63 for the largest. Undefined, or absent, where only SEEK_SET and SEEK_CUR work. `begins`: it is at 0. */
  directoryEnd?(directory: Inode, file?: FileHandle, begins?: boolean): number | undefined;
  /** FICLONERANGE within this filesystem; `length` 0 means to the end. @returns ENOTSUP where extents cannot be shared. */
  clone(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined;
  /**
   * What comes before two files share, or one is copied to another, and before their ranges are looked at: what stands against it, in a union by what lies
   * below; of a copy what is written first. Absent: nothing. @param range - a copy's, as asked for
   */
  prepareSharing?(source: FileHandle, target: FileHandle, how: "dedupe" | "copy", range?: CopyRange): Errno | undefined;
  /** FIDEDUPERANGE: shares extents of ranges that hold the same bytes, and leaves times alone; absent where extents cannot be shared. */
  dedupe?(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined;
  /** How many pages of the file are in the page cache (mincore). */
  cachedPages(file: FileHandle): number;
  /** Drops the file's clean pages (POSIX_FADV_DONTNEED). */
  dropPages(file: FileHandle): void;

  // Flags of chattr(1), which forbid changes; FS_IOC_GETFLAGS is ENOTTY where they cannot be set
  fileFlags?(inode: Inode): number | Errno;
  /** Whether devices and FIFOs have them as well (fs/xfs/xfs_iops.c, xfs_setup_iops gives them the operations of files). Absent: no. */
  readonly specialsHaveFlags?: boolean;
  setFileFlags?(inode: Inode, flags: number): Errno | undefined;
  /** Whether it is read-only wherever it is mounted (SB_RDONLY): every change is EROFS before it is asked. Absent: no. A mount may make it so. */
  readOnly?: boolean;
  /** What name_to_handle_at(2) tells, and what it does beside that: a union may copy up. Absent: it works not; nothing. */
  readonly handles?: FileHandles | undefined;
  connectHandle?(inode: Inode): Errno | undefined;
  /** listxattr(2) names trusted.* to everybody. Default false: to the administrator alone. */
  readonly listsTrusted?: boolean;
  /** Absent where inodes belong to no projects. */
  readonly projects?: ProjectQuota;

  // The whole
  /** @param inode - what was asked about: a folder whose project is limited shows that limit as its size. Default: the root. */
  statfs(inode?: Inode): StatFs;
  /** Bytes of the device that are taken, of which statfs tells later: as btrfs's extent tree does. Absent: it tells of all. */
  readonly unsettledBytes?: number;
  /** Writes everything that is dirty, and makes it durable (syncfs). */
  sync(): Errno | undefined;
  /** mount -o remount with options of the type's own; absent where none can be changed. @param directory - where relative paths begin. */
  remount?(data: string, directory: string): { readonly errno: Errno; readonly message: string } | undefined;
  /** Ends the mount: writes everything, lets go of what it stands on. */
  unmount(): Errno | undefined;
  /** Throws an InvariantError when what the engine keeps does not add up. */
  check(): void;
}

/** An empty Attributes to be filled. */
export function newAttributes(): Attributes {
  const never: Time = { seconds: 0, nanoseconds: 0 };
  return {
    mode: 0,
    uid: 0,
    gid: 0,
    nlink: 0,
    size: 0,
    blocks: 0,
    blockSize: 0,
    rdev: 0,
    inodeNumber: 0 as InodeNumber,
    device: 0 as DeviceNumber,
    atime: never,
    mtime: never,
    ctime: never,
  };
}

/** The type bits of an inode's mode. */
export function typeOf(fs: FileSystem, inode: Inode): number {
  return fs.fileType === undefined ? fs.mode(inode) & S_IFMT : fs.fileType(inode);
}

/** A filesystem's own number as the handle of an inode. */
export function inodeHandle(value: number): Inode {
  return value as Inode;
}

/** A filesystem's own number as the handle of an open file. */
export function fileHandle(value: number): FileHandle {
  return value as FileHandle;
}
