/**
 * devicemapper: each layer a thin device with a whole filesystem, a snapshot of its parent's (moby daemon/graphdriver/devmapper, v20.10).
 *
 * On disk, below the home (0700): `devicemapper/{data,metadata}`, the sparse files of the pool, unless it has devices of its own;
 * `metadata/`, a file a device (devicemapper/records.ts); `mnt/<id>/`, where a device is mounted, with the layer's tree in `rootfs/` beside a
 * file `id`, so that lost+found and that file are not seen in a container.
 *
 * Interface: Get activates the device and mounts it, Put takes both back; mounts are counted. Differences are found by comparing two mounted
 * trees. A device that is in use when it is removed is deleted later.
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { majorOf, minorOf } from "../../sim/core/units.ts";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import type { Host } from "../../sim/host.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { DeviceSet, tooSmall } from "./devicemapper/device-set.ts";
import { type DevmapperOptions, parseDevmapperOptions } from "./devicemapper/options.ts";
import { type DeviceRecord, Records } from "./devicemapper/records.ts";
import { statusRows } from "./devicemapper/status.ts";
import { openStorage, type PoolStorage } from "./devicemapper/storage.ts";
import {
  type Change,
  type CreateOptions,
  type DriverContext,
  DriverError,
  type DriverKind,
  errnoText,
  type GraphDriver,
  isDriverError,
} from "./driver.ts";
import { exists, makeDirectories, makeDirectory, stat, writeFile } from "./files.ts";
import { humanSize } from "./human-size.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseSize } from "./options.ts";
import { RefCounter } from "./ref-counter.ts";
import { unmountBelow } from "./removal.ts";

/** mke2fs as Docker calls it. */
const MKE2FS = "-E nodiscard,lazy_itable_init=0,lazy_journal_init=0";
/** The UUID of every filesystem here. */
const BASE_UUID = "00000000-0000-0000-0000-000000000000";

interface Parts {
  readonly storage: PoolStorage;
  readonly devices: DeviceSet;
  readonly options: DevmapperOptions;
  readonly prefix: string;
}

class DevicemapperDriver implements GraphDriver {
  readonly name = "devicemapper";
  readonly home: string;
  readonly counters: Record<string, number>;
  readonly #host: Host;
  readonly #task: Task;
  readonly #parts: Parts;
  readonly #references: RefCounter;

  constructor(context: DriverContext, parts: Parts) {
    this.home = context.home;
    this.#host = context.host;
    this.#task = context.host.task;
    this.#parts = parts;
    this.counters = parts.storage.pool.counters as typeof parts.storage.pool.counters & Record<string, number>;
    this.#references = new RefCounter((path) => this.#host.mountedBelow(path).includes(path));
  }

  #mountPoint(id: string): string {
    return `${this.home}/mnt/${id}`;
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    const { devices } = this.#parts;
    const base = devices.lookup(parent);
    if (isDriverError(base)) return base;
    if (base.deleted) return new DriverError(`devmapper: Base device ${parent} has been marked for deferred deletion`);
    const known = devices.record(id);
    if (isDriverError(known)) return known;
    if (known !== undefined) return new DriverError(`devmapper: device ${id} already exists. Deleted=${known.deleted}`);
    const size = sizeOf(base, options);
    if (isDriverError(size)) return size;
    this.#freeze(parent);
    const failed = devices.snapshot(id, base, size);
    return failed ?? (size > base.size ? growFilesystem(this.#host, devices, id, this.#parts.options) : undefined);
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    return this.create(id, parent, options);
  }

  /** What suspending a mounted device does: its filesystem is written out, so that the snapshot holds a whole one. */
  #freeze(id: string): void {
    const path = this.#mountPoint(id);
    if (this.#host.mountedBelow(path).length === 0) return;
    const task = this.#task.chroot(path);
    if (isErrno(task)) return;
    task.syncfs();
    // Its root would keep the mount, and so the device, for ever.
    task.exit();
  }

  get(id: string): string | DriverError {
    const path = this.#mountPoint(id);
    const rootfs = `${path}/rootfs`;
    if (this.#references.increment(path) > 1) return rootfs;
    const failed = this.#mount(id, path) ?? this.#fill(id, path, rootfs);
    if (failed === undefined) return rootfs;
    this.#references.decrement(path);
    return failed;
  }

  #mount(id: string, path: string): DriverError | undefined {
    const { devices, options } = this.#parts;
    const made = makeDirectories(this.#task, path, 0o755);
    if (made !== undefined) return made;
    const record = devices.lookup(id);
    if (isDriverError(record)) return record;
    if (record.deleted) {
      return new DriverError(`devmapper: Can't mount device ${id} as it has been marked for deferred deletion`);
    }
    const name = devices.activate(id, record);
    if (isDriverError(name)) return name;
    const failed = mountDevice(this.#host, devices, options, { name, path });
    if (failed !== undefined) devices.deactivate(id);
    return failed === undefined ? undefined : new DriverError(failed.message, { errno: failed.errno });
  }

  /** The layer's folder, and the file that tells whose device it is. */
  #fill(id: string, path: string, rootfs: string): DriverError | undefined {
    const file = `${path}/id`;
    const failed =
      (exists(this.#task, rootfs) ? undefined : makeDirectory(this.#task, rootfs, 0o755)) ??
      (exists(this.#task, file) ? undefined : writeFile(this.#task, file, { text: id, mode: 0o600 }));
    if (failed !== undefined) this.#unmount(id, path);
    return failed;
  }

  put(id: string): DriverError | undefined {
    const path = this.#mountPoint(id);
    if (this.#references.decrement(path) > 0) return undefined;
    return this.#unmount(id, path);
  }

  #unmount(id: string, path: string): DriverError | undefined {
    if (this.#host.mountedBelow(path).length === 0) return undefined;
    this.#host.unmount(path, true);
    this.#task.rmdir(path);
    return this.#parts.devices.deactivate(id);
  }

  remove(id: string): DriverError | undefined {
    const failed = this.#parts.devices.delete(id);
    if (failed !== undefined) return failed;
    // Put has taken it away, unless the layer is still mounted somewhere: that is no failure.
    this.#task.rmdir(this.#mountPoint(id));
    return undefined;
  }

  exists(id: string): boolean {
    const record = this.#parts.devices.record(id);
    return record !== undefined && !isDriverError(record);
  }

  changes(id: string, parent: string): Change[] | DriverError {
    return naiveChanges(this.#task, this, { id, parent });
  }

  diffSize(id: string, parent: string): number | DriverError {
    return naiveDiffSize(this.#task, this, { id, parent });
  }

  status(): readonly (readonly [string, string])[] {
    const { storage, devices, options, prefix } = this.#parts;
    const base = devices.record("");
    const loop = storage.loopFiles?.data;
    const told = loop === undefined ? undefined : this.#task.statfs(loop);
    const free = told === undefined || isErrno(told) ? undefined : told.blocksFree * told.blockSize;
    return statusRows({
      storage,
      options,
      name: options.thinPoolDevice ?? `${prefix}-pool`,
      baseSize: isDriverError(base) || base === undefined ? 0 : base.size,
      filesystem: devices.filesystem,
      deleted: devices.deletedCount,
      hostFree: free,
    });
  }

  metadata(id: string): Readonly<Record<string, string>> | DriverError {
    const { devices } = this.#parts;
    const record = devices.lookup(id);
    if (isDriverError(record)) return record;
    return { DeviceId: String(record.device_id), DeviceSize: String(record.size), DeviceName: devices.nameOf(id) };
  }

  cleanup(): DriverError | undefined {
    unmountBelow(this.#host, `${this.home}/mnt`);
    this.#parts.devices.end();
    this.#parts.storage.end();
    return undefined;
  }
}

/** Mounts an active device. */
function mountDevice(
  host: Host,
  devices: DeviceSet,
  options: DevmapperOptions,
  { name, path }: { readonly name: string; readonly path: string },
): { readonly errno: Errno; readonly message: string } | undefined {
  const type = devices.filesystem;
  const words = [...(type === "xfs" ? ["nouuid"] : []), ...(options.mountOptions === "" ? [] : [options.mountOptions])];
  const failed = host.mount({ type, source: name, target: path, options: words.join(",") });
  if (failed === undefined) return undefined;
  // The end of the kernel's log would stand behind "dmesg:".
  const data = words.length === 0 ? "" : `, data: ${words.join(",")}`;
  const message = `Failed to mount; dmesg: : mount /dev/mapper/${name}:${path}${data}: ${errnoText(failed.errno)}`;
  return { errno: failed.errno, message };
}

/** Where a filesystem is mounted while it grows. */
const GROWING = "/run/docker/mnt";

/**
 * Grows the filesystem on a device that is larger than it (growFS): mounted for the moment and unmounted again, then by its tool, which
 * there works on the mounted one.
 */
function growFilesystem(host: Host, devices: DeviceSet, hash: string, options: DevmapperOptions): DriverError | undefined {
  const record = devices.lookup(hash);
  if (isDriverError(record)) return record;
  const name = devices.activate(hash, record);
  if (isDriverError(name)) return name;
  const failed = makeDirectories(host.task, GROWING, 0o700) ?? mountAndGrow(host, devices, options, name);
  host.task.rmdir(GROWING);
  devices.deactivate(hash);
  return failed;
}

function mountAndGrow(host: Host, devices: DeviceSet, options: DevmapperOptions, name: string): DriverError | undefined {
  const unmounted = mountDevice(host, devices, options, { name, path: GROWING });
  if (unmounted !== undefined) return new DriverError(unmounted.message, { errno: unmounted.errno });
  host.unmount(GROWING);
  const errno = host.grow(devices.filesystem, name);
  if (errno === undefined) return undefined;
  return new DriverError(`Failed to grow rootfs:${errnoText(errno)}`, { errno });
}

/** The size of a device over another one. */
function sizeOf(base: DeviceRecord, options: CreateOptions): number | DriverError {
  let size = 0;
  for (const [key, value] of Object.entries(options.storage ?? {})) {
    if (key.toLowerCase() !== "size") return new DriverError(`Unknown option ${key}`);
    const parsed = parseSize(value);
    if (isDriverError(parsed)) return parsed;
    size = parsed;
  }
  if (size === 0) return base.size;
  return size < base.size ? tooSmall(base.size) : size;
}

/** Makes the base device with a filesystem on it, where there is none. */
function setUpBase(host: Host, devices: DeviceSet, options: DevmapperOptions, records: Records): DriverError | undefined {
  const known = devices.record("");
  if (isDriverError(known)) return known;
  if (known?.initialized === true) return growBase(host, devices, options, records);
  const failed = known === undefined ? devices.createBase() : undefined;
  if (failed !== undefined) return failed;
  const record = devices.lookup("");
  if (isDriverError(record)) return record;
  const name = devices.activate("", record);
  if (isDriverError(name)) return name;
  const type = options.filesystem === "" ? chosenFilesystem() : options.filesystem;
  const words = [...(type === "ext4" ? [MKE2FS] : []), ...options.mkfsArguments];
  const made = host.mkfs(type, name, words.join(" "));
  devices.deactivate("");
  if (made !== undefined) return new DriverError(`devmapper: mkfs.${type} failed: ${errnoText(made)}`, { errno: made });
  return records.saveDevice("", { ...record, initialized: true }) ?? devices.saveBase(type, BASE_UUID);
}

/** A base size that is asked for must not be below what is there; a larger one makes the base device larger (checkGrowBaseDeviceFS). */
function growBase(host: Host, devices: DeviceSet, options: DevmapperOptions, records: Records): DriverError | undefined {
  const base = devices.lookup("");
  if (isDriverError(base)) return base;
  if (!options.baseSizeGiven || options.baseSize === base.size) return undefined;
  if (options.baseSize < base.size) {
    return new DriverError(`devmapper: Base device size cannot be smaller than ${humanSize(base.size)}`);
  }
  const unsaved = records.saveDevice("", { ...base, size: options.baseSize });
  return unsaved ?? growFilesystem(host, devices, "", options);
}

/** Docker takes xfs where the kernel has it. */
function chosenFilesystem(): string {
  return FILESYSTEMS.has("xfs") ? "xfs" : "ext4";
}

/** The prefix of a daemon's devices: the folder's device and inode. */
function prefixOf(task: Task, home: string): string | DriverError {
  const of = stat(task, home);
  if (isDriverError(of)) return of;
  const { device, inodeNumber } = Object.assign(newAttributes(), of);
  return `docker-${majorOf(device)}:${minorOf(device)}-${inodeNumber}`;
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home } = context;
  const options = parseDevmapperOptions(context.options, context.settings.docker);
  if (isDriverError(options)) return options;
  const { task } = host;
  const folders = makeDirectories(task, home, 0o700) ?? makeDirectory(task, `${home}/metadata`, 0o700);
  const failed = folders ?? makeDirectory(task, `${home}/mnt`, 0o700) ?? makeDirectory(task, `${home}/devicemapper`, 0o700);
  if (failed !== undefined) return failed;
  const prefix = prefixOf(task, home);
  if (isDriverError(prefix)) return prefix;
  const storage = openStorage(host, `${home}/devicemapper`, `${prefix}-pool`, options);
  if (isDriverError(storage)) return storage;
  const records = new Records(task, `${home}/metadata`);
  const devices = DeviceSet.open({ host, options, storage, records, prefix });
  if (isDriverError(devices)) return devices;
  const unready = setUpBase(host, devices, options, records);
  if (unready !== undefined) {
    devices.end();
    storage.end();
    return unready;
  }
  return new DevicemapperDriver(context, { storage, devices, options, prefix });
}

/** The driver devicemapper. */
export const DEVICEMAPPER: DriverKind = {
  name: "devicemapper",
  deprecated: true,
  backings: ["ext4", "xfs"],
  recordedWith: ["dm.fs=ext4"],
  init,
};
