/**
 * A host: disks, memory, a kernel, and a tree of mounts whose root is a tmpfs. Everything that happens on it comes from its seed
 * and the calls made on it.
 *
 * Interface:
 * - `task` is its first process (root, at the top of the tree); other processes are made from it (chroot, withCredentials).
 * - `mount` is mount(8): it knows the types of FILESYSTEMS, takes the general options (ro, noatime …) for the mount and hands the rest
 *   to the filesystem. A failure tells what the kernel would log.
 * - `counters` only grow: those of filesystems are summed by type, also of those that are unmounted again.
 */

import type { BlockDevice } from "./block/device.ts";
import { Disk, type DiskOptions } from "./block/disk.ts";
import { Allocations } from "./core/allocations.ts";
import { assert } from "./core/assert.ts";
import { Clock } from "./core/clock.ts";
import { Content } from "./core/content.ts";
import type { Counters } from "./core/counters.ts";
import { EINVAL, ENODEV, ENOENT, ENOTSUP, type Errno, isErrno } from "./core/errno.ts";
import { EventStream } from "./core/events.ts";
import { type KernelProfile, k6_18 } from "./core/kernel-profile.ts";
import { NameTable } from "./core/names.ts";
import { Random } from "./core/random.ts";
import { type DeviceNumber, deviceNumber, GIB, MIB } from "./core/units.ts";
import { checkPool } from "./cow/zfs/assemble.ts";
import type { Pool } from "./cow/zfs/pool.ts";
import { FILESYSTEMS } from "./host/filesystems.ts";
import { pageOf, sortOptions } from "./host/mount-options.ts";
import { type AttachedDevice, type HostParts, isMountFailure, type MountFailure, type MountRequest } from "./host/types.ts";
import { checkPool as checkThinPool } from "./thin/check.ts";
import type { ThinPool } from "./thin/pool.ts";
import { LowerViews } from "./union/lower-views.ts";
import { InUse } from "./union/overlayfs/in-use.ts";
import { PAGE_SIZE } from "./vfs/address-space.ts";
import { type FileSystem, O_CREAT, O_WRONLY } from "./vfs/filesystem.ts";
import type { Mount, MountOptions, Position } from "./vfs/mount.ts";
import { PageCache } from "./vfs/page-cache.ts";
import type { ReadaheadOptions } from "./vfs/readahead.ts";
import type { Task } from "./vfs/task.ts";
import { Vfs } from "./vfs/vfs.ts";

export interface HostOptions {
  /** What all random numbers of the host come from. Default 1. */
  readonly seed?: number;
  /** Bytes of memory for the page cache. Default 1 GiB. */
  readonly memory?: number;
  /** How much is read ahead. Default: nothing, as with `blockdev --setra 0`. */
  readonly readahead?: ReadaheadOptions;
  /** Default Linux 6.18. */
  readonly kernel?: KernelProfile;
  /** The wall-clock second at which virtual time begins. Default the clock's own. */
  readonly epochSeconds?: number;
}

/** The size of the root filesystem where half of the memory is less: it stands for a disk of the host's own, whose files and mount points have room. */
const ROOT_LEAST = MIB(1);
/** Anonymous device numbers have major 0; disks are virtio's. */
const DISK_MAJOR = 254;
const MINORS_A_DISK = 16;

/** What an engine counted, where it keeps count. */
function countersOf(engine: object): Counters {
  return "counters" in engine && typeof engine.counters === "object" ? (engine.counters as Counters) : {};
}

function addInto(sum: Record<string, number>, prefix: string, counters: Counters): void {
  for (const [name, count] of Object.entries(counters)) sum[`${prefix}.${name}`] = (sum[`${prefix}.${name}`] ?? 0) + count;
}

export class Host implements HostParts {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly names: NameTable = new NameTable();
  readonly random: Random;
  readonly cache: PageCache;
  readonly vfs: Vfs;
  readonly kernel: KernelProfile;
  /** Allocations of space by every filesystem and pool, some of which a test may fail. */
  readonly allocations: Allocations = new Allocations();
  readonly disks: Map<string, Disk> = new Map();
  /** Every block device, disks among them, by name. */
  readonly #devices = new Map<string, AttachedDevice>();
  /** Merged views of lower layers that several overlay mounts share. */
  readonly views: LowerViews = new LowerViews();
  /** The upper and work directories of mounted overlays. */
  readonly inUse: InUse = new InUse();
  /** Pools of zfs that are imported, by name. */
  readonly pools: Map<string, Pool> = new Map();
  /** Thin pools whose volumes are devices of the host. */
  readonly thinPools: Set<ThinPool> = new Set();
  /** The first process: root, at the top of the tree of mounts. */
  readonly task: Task;
  readonly #mounts = new Map<string, Mount[]>();
  readonly watch: Vfs["watch"] = (watched, mask, listener) => this.vfs.watch(watched, mask, listener);
  /** What filesystems counted that are gone. */
  readonly #ended: Record<string, number> = {};
  #lostAtUnmount = 0;
  /** Unmounted, but perhaps still used. */
  #detached: Mount[] = [];
  #anonymousDevices = 0;

  constructor(options: HostOptions = {}) {
    this.kernel = options.kernel ?? k6_18;
    const { epochSeconds } = options;
    this.clock = new Clock({
      multigrain: this.kernel.vfs.multigrainTimes,
      ...(epochSeconds === undefined ? {} : { epochSeconds }),
    });
    this.events = new EventStream(() => this.clock.now);
    this.random = new Random(options.seed ?? 1);
    const memory = options.memory ?? GIB(1);
    this.cache = new PageCache(this.clock, this.events, {
      memoryPages: Math.max(1, Math.floor(memory / PAGE_SIZE)),
      ...(options.readahead === undefined ? {} : { readahead: options.readahead }),
    });
    this.vfs = new Vfs({ names: this.names, clock: this.clock, events: this.events, cache: this.cache });
    const least = memory < 2 * ROOT_LEAST ? `,size=${ROOT_LEAST},nr_inodes=${ROOT_LEAST / PAGE_SIZE}` : "";
    const root = this.#make({ type: "tmpfs", source: "rootfs", target: "/" }, `mode=755${least}`);
    assert(!isMountFailure(root), "the root filesystem does not mount");
    this.task = this.vfs.task(this.vfs.mountRoot(root));
    this.#makeKernelFiles();
  }

  /**
   * The parts of /sys and /proc that tell what the kernel can: one file a parameter of its overlay module, and its types of filesystems.
   * And /dev/shm, where programs keep files in memory.
   */
  #makeKernelFiles(): void {
    const parameters = ["redirect_dir", "index"].filter((name) => this.kernel.overlay.options.has(name));
    this.#makeFolder("/sys/module/overlay/parameters");
    for (const name of parameters) this.#makeFile(`/sys/module/overlay/parameters/${name}`, "N\n");
    this.#makeFolder("/proc");
    const types = [...FILESYSTEMS.values()].filter(({ isIn }) => isIn?.(this.kernel) !== false);
    this.#makeFile(
      "/proc/filesystems",
      types.map(({ name, make }) => `${make === undefined ? "nodev" : ""}\t${name}\n`).join(""),
    );
    this.#makeFolder("/dev/shm");
  }

  #makeFolder(path: string): void {
    for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1))
      this.task.mkdir(path.slice(0, slash), 0o755);
    this.task.mkdir(path, 0o755);
  }

  #makeFile(path: string, text: string): void {
    const fd = this.task.open(path, O_WRONLY | O_CREAT, 0o444);
    assert(!isErrno(fd), `${path} cannot be made`);
    this.task.write(fd, Content.text(text));
    this.task.close(fd);
  }

  /** Adds a disk: "vda" is the first, then "vdb" …, unless it is named. */
  addDisk(options: DiskOptions): Disk {
    const name = options.name ?? `vd${String.fromCharCode(0x61 + this.disks.size)}`;
    assert(!this.disks.has(name), `the host has a disk ${name} already`);
    const disk = new Disk({ clock: this.clock, events: this.events, ...options, name });
    this.attachDisk(disk);
    return disk;
  }

  /** Adds a disk that is there already, such as one that a power cut left. */
  attachDisk(disk: Disk): void {
    assert(!this.disks.has(disk.name), `the host has a disk ${disk.name} already`);
    this.addDevice(disk.name, disk, deviceNumber(DISK_MAJOR, this.disks.size * MINORS_A_DISK));
    this.disks.set(disk.name, disk);
  }

  /** Makes a block device known by a name: a loop device, one of the device mapper's. */
  addDevice(name: string, device: BlockDevice, number: DeviceNumber): void {
    assert(!this.#devices.has(name), `the host has a device ${name} already`);
    this.#devices.set(name, { device, number });
  }

  /** Forgets a block device; a filesystem on it must be unmounted. */
  removeDevice(name: string): void {
    assert(this.#devices.delete(name), `the host has no device ${name}`);
  }

  /** The block device of a name, such as "vda". */
  device(name: string): AttachedDevice | undefined {
    return this.#devices.get(name);
  }

  /** A new st_dev for a filesystem without a device (kernel: get_anon_bdev). */
  anonymousNumber(): DeviceNumber {
    this.#anonymousDevices += 1;
    return deviceNumber(0, this.#anonymousDevices);
  }

  /** The place of a path of mount options; a relative one begins at `directory`. */
  resolve(path: string, directory: string): Position | Errno {
    return this.task.resolve(path.startsWith("/") ? path : `${directory}/${path}`);
  }

  /** Makes a filesystem on a device. @returns ENODEV for a type that has no mkfs, ENOENT for a device that is not there. */
  mkfs(type: string, source: string, options = ""): Errno | undefined {
    const found = this.device(source);
    const make = FILESYSTEMS.get(type)?.make;
    if (make === undefined) return ENODEV;
    return found === undefined ? ENOENT : make(found.device, options, this.clock);
  }

  /**
   * Grows the filesystem on a device that is not mounted to the device's size. @returns EOPNOTSUPP (ENOTSUP) for a type that cannot grow,
   * ENOENT for a device that is not there, EBUSY for a filesystem that was not unmounted.
   */
  grow(type: string, source: string): Errno | undefined {
    const found = this.device(source);
    const grow = FILESYSTEMS.get(type)?.grow;
    if (grow === undefined) return ENOTSUP;
    return found === undefined ? ENOENT : grow(found.device, this.clock);
  }

  /** Mounts. @returns nothing, or why not. */
  mount(request: MountRequest): MountFailure | undefined {
    const { flags, rest } = sortOptions(request.options ?? "");
    const options: MountOptions = { text: request.options ?? "", source: this.#sourceOf(request.source), ...flags };
    const data = pageOf(rest);
    const place = this.task.resolve(request.target);
    if (isErrno(place)) return { errno: place, message: "" };
    const fs = this.#make(request, data);
    if (isMountFailure(fs)) return fs;
    const top = FILESYSTEMS.get(request.type)?.top?.(fs, this, data) ?? fs.root;
    if (isMountFailure(top)) {
      if (this.vfs.mountsOf(fs) === 0) fs.unmount();
      return top;
    }
    const mounted = this.vfs.mount(this.task, fs, request.target, options, top);
    if (isErrno(mounted)) {
      if (this.vfs.mountsOf(fs) === 0) fs.unmount();
      return { errno: mounted, message: "" };
    }
    const stack = this.#mounts.get(request.target);
    if (stack === undefined) this.#mounts.set(request.target, [mounted]);
    else stack.push(mounted);
    return undefined;
  }

  /** How /proc/mounts tells what is mounted: of a device its node, which for a volume of the device mapper is in a folder of its own. */
  #sourceOf(source: string): string {
    if (this.device(source) === undefined || source.startsWith("/")) return source;
    return this.disks.has(source) || source.startsWith("loop") ? `/dev/${source}` : `/dev/mapper/${source}`;
  }

  #make(request: MountRequest, data: string): FileSystem | MountFailure {
    const type = FILESYSTEMS.get(request.type);
    if (type === undefined || type.isIn?.(this.kernel) === false)
      return { errno: ENODEV, message: `unknown filesystem type '${request.type}'` };
    return type.mount(this, request, data);
  }

  /** mount -o remount of what is mounted at a path. @param directory - where relative paths in the options begin. @returns nothing, or why not. */
  remount(target: string, options: string, directory = "/"): MountFailure | undefined {
    const mount = this.#mounts.get(target)?.at(-1);
    const { flags, rest } = sortOptions(options);
    if (mount === undefined || (rest.some((word) => word !== "") && mount.fs.remount === undefined))
      return { errno: EINVAL, message: "" };
    const refused = mount.fs.remount?.(options, directory);
    if (refused !== undefined) return refused;
    const failed = this.vfs.remount(mount, flags);
    return failed === undefined ? undefined : { errno: failed, message: "" };
  }

  /** Ends the mount at a path; `lazy` (MNT_DETACH) also while it is used. @returns EINVAL where nothing is mounted, EBUSY. */
  unmount(target: string, lazy = false): Errno | undefined {
    const stack = this.#mounts.get(target);
    const mount = stack?.at(-1);
    if (stack === undefined || mount === undefined) return EINVAL;
    const failed = this.vfs.unmount(this.task, target, lazy);
    if (failed !== undefined) return failed;
    stack.pop();
    if (stack.length === 0) this.#mounts.delete(target);
    this.#detached.push(mount);
    this.endUnused();
    return undefined;
  }

  /** Ends the filesystems that nothing shows or uses any more: those of detached mounts live until their last user is gone. */
  endUnused(): void {
    const used: Mount[] = [];
    for (const mount of this.#detached) {
      if (mount.users > 0 || this.vfs.mountsOf(mount.fs) > 0) used.push(mount);
      else {
        if (mount.fs.unmount() !== undefined) this.#lostAtUnmount += 1;
        addInto(this.#ended, mount.fs.type, countersOf(mount.fs));
      }
    }
    this.#detached = used;
  }

  /** How many filesystems ended with something that could not be written any more: umount(2) tells that to nobody. */
  get lostAtUnmount(): number {
    return this.#lostAtUnmount;
  }

  /** A filesystem that is mounted, or detached and still used. */
  mounted(is: (fs: FileSystem) => boolean): FileSystem | undefined {
    return [...this.vfs.mounts, ...this.#detached].find(({ fs }) => is(fs))?.fs;
  }

  /** Whether a filesystem that is mounted, or detached and still used, lies on the device of a number. */
  usesDevice(number: DeviceNumber): boolean {
    return [...this.vfs.mounts, ...this.#detached].some(({ fs }) => fs.device === number);
  }

  /** Where something is mounted at `path` or below it, in the order of mounting. */
  mountedBelow(path: string): string[] {
    return [...this.#mounts.keys()].filter((at) => at === path || at.startsWith(`${path}/`));
  }

  /** Where a mount is; undefined where mount(8) did not make it. */
  placeOf(mount: Mount): string | undefined {
    for (const [target, stack] of this.#mounts) if (stack.includes(mount)) return target;
    return undefined;
  }

  /** Everything that was counted since the host was made, sorted by name: "ext4.…", "pageCache.…", "disk.vda.…". */
  counters(): Counters {
    const sum: Record<string, number> = { ...this.#ended };
    const seen = new Set<FileSystem>();
    for (const { fs } of [...this.vfs.mounts, ...this.#detached]) {
      if (!seen.has(fs)) addInto(sum, fs.type, countersOf(fs));
      seen.add(fs);
    }
    addInto(sum, "pageCache", countersOf(this.cache));
    for (const { arc, store } of this.pools.values()) {
      addInto(sum, "arc", countersOf(arc));
      addInto(sum, "zpool", countersOf(store));
    }
    for (const [name, disk] of this.disks) addInto(sum, `disk.${name}`, countersOf(disk));
    return Object.fromEntries(Object.entries(sum).sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** What `counters` tells of one name over all filesystems of some types, without the others. */
  counted(types: readonly string[], name: string): number {
    let sum = 0;
    for (const type of types) sum += this.#ended[`${type}.${name}`] ?? 0;
    const seen = new Set<FileSystem>();
    for (const mounts of [this.vfs.mounts, this.#detached])
      for (const { fs } of mounts) {
        if (!types.includes(fs.type) || seen.has(fs)) continue;
        seen.add(fs);
        sum += countersOf(fs)[name] ?? 0;
      }
    return sum;
  }

  /** Throws an InvariantError when what an engine keeps does not add up. */
  check(): void {
    this.cache.check();
    for (const fs of new Set(this.vfs.mounts.map((mount) => mount.fs))) fs.check();
    for (const pool of this.pools.values()) checkPool(pool);
    for (const pool of this.thinPools) checkThinPool(pool);
  }
}

/** A host without disks. */
export function createHost(options: HostOptions = {}): Host {
  return new Host(options);
}
