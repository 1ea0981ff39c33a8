/**
 * The pool that devicemapper stands on: sparse loop files on the host's filesystem (loop-lvm), or block devices of the host (direct-lvm).
 */
import type { BlockDevice } from "../../../sim/block/device.ts";
import { LinearDevice } from "../../../sim/block/linear.ts";
import { LoopDevice, type LoopFile } from "../../../sim/block/loop.ts";
import type { Content } from "../../../sim/core/content.ts";
import { EINVAL, type Errno, isErrno } from "../../../sim/core/errno.ts";
import { deviceNumber } from "../../../sim/core/units.ts";
import type { Host } from "../../../sim/host.ts";
import { ThinPool } from "../../../sim/thin/pool.ts";
import { parsePoolTable, SECTOR, TargetError } from "../../../sim/thin/pool-options.ts";
import { newAttributes, O_CREAT, O_RDWR } from "../../../sim/vfs/filesystem.ts";
import type { Task } from "../../../sim/vfs/task.ts";
import { DriverError, isDriverError, pathError } from "../driver.ts";
import type { DevmapperOptions } from "./options.ts";

const LOOP_MAJOR = 7;
/** The device mapper's. */
const MAPPER_MAJOR = 253;
const POOL_MINOR = 0;
/** Docker's low-water mark in blocks. */
const LOW_WATER = 32_768;
/** A logical volume for the pool's metadata in the set-up that Docker makes by itself: one percent. */
const DIRECT_METADATA_PERCENT = 1;
const DIRECT_DATA_PERCENT = 95;
/** Sectors of a block of that set-up: 512 KiB. */
const DIRECT_BLOCK_SECTORS = 1024;
/** FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE. */
const PUNCH_HOLE = 3;

/** Where a pool lies. */
export interface PoolStorage {
  readonly pool: ThinPool;
  /** What `docker info` shows as data file and metadata file. */
  readonly dataFile: string;
  readonly metadataFile: string;
  /** The loop files; undefined without them. */
  readonly loopFiles: { readonly data: string; readonly metadata: string } | undefined;
  /** Whether the devices are Docker's own, to be taken away at the end. */
  end(): void;
}

/** An open file of the host under a loop device. */
function loopFile(task: Task, fd: number): LoopFile {
  const of = newAttributes();
  return {
    size: () => (isErrno(task.fstat(fd, of)) ? 0 : of.size),
    read: (offset, length) => task.pread(fd, length, offset),
    write: (offset: number, content: Content): number | Errno => task.pwrite(fd, content, offset),
    punch: (offset, length) => task.fallocate(fd, PUNCH_HOLE, offset, length),
    fsync: () => task.fsync(fd),
  };
}

interface Loop {
  readonly name: string;
  readonly device: LoopDevice;
  readonly fd: number;
}

/** Why the kernel takes no pool. @param reason - the words of its log, if there are any */
function refusedPool(reason: string, errno: Errno): DriverError {
  const words = reason === "" ? "" : ` (${reason})`;
  return new DriverError(`devicemapper: Error running deviceCreate (CreatePool) dm_task_run failed${words}`, { errno });
}

/**
 * Makes or grows a sparse file, and a loop device over it; it never shrinks.
 * @param tooSmall - what the kernel says of a pool that has a device without any sector there
 */
function attachLoop(host: Host, path: string, size: number, tooSmall: string): Loop | DriverError {
  const { task } = host;
  const fd = task.open(path, O_RDWR | O_CREAT, 0o600);
  if (isErrno(fd)) return pathError("open", path, fd);
  const of = newAttributes();
  task.fstat(fd, of);
  if (of.size < size) {
    const failed = task.ftruncate(fd, size);
    if (failed !== undefined) return pathError("truncate", path, failed);
  }
  if (Math.max(size, of.size) < SECTOR) {
    task.close(fd);
    return refusedPool(tooSmall, EINVAL);
  }
  let index = 0;
  while (host.device(`loop${index}`) !== undefined) index += 1;
  const name = `loop${index}`;
  const device = new LoopDevice(name, loopFile(task, fd), { rotational: turnsBelow(host, path) });
  host.addDevice(name, device, deviceNumber(LOOP_MAJOR, index));
  return { name, device, fd };
}

/** Whether the device turns that a path's filesystem is on; a filesystem without one does not. */
function turnsBelow(host: Host, path: string): boolean {
  const place = host.task.resolve(path);
  const source = isErrno(place) ? undefined : place.mount.options.source;
  const below = source === undefined ? undefined : host.device(source.slice(source.lastIndexOf("/") + 1));
  return below !== undefined && below.device.rotational !== false;
}

function detachLoop(host: Host, loop: Loop): void {
  host.removeDevice(loop.name);
  host.task.close(loop.fd);
}

/** Loads the table of Docker's pool. */
function openPool(
  host: Host,
  name: string,
  devices: { readonly data: string; readonly metadata: string },
  blockSectors: number,
): ThinPool | DriverError {
  const data = host.device(devices.data);
  const metadata = host.device(devices.metadata);
  if (data === undefined || metadata === undefined) {
    return new DriverError(`open /dev/${data === undefined ? devices.data : devices.metadata}: no such file or directory`);
  }
  const words = [devices.metadata, devices.data, String(blockSectors), String(LOW_WATER), "1", "skip_block_zeroing"];
  const table = parsePoolTable(words);
  if (table instanceof TargetError) return refusedPool(table.reason, table.errno);
  const pool = ThinPool.open({
    name,
    data: data.device,
    metadata: metadata.device,
    table,
    clock: host.clock,
    events: host.events,
    allocations: host.allocations,
    deviceNumbers: { metadata: metadata.number, data: data.number },
  });
  if (pool instanceof TargetError) return refusedPool(pool.reason, pool.errno);
  host.thinPools.add(pool);
  return pool;
}

function closePool(host: Host, pool: ThinPool): void {
  host.thinPools.delete(pool);
  pool.close();
}

/** Sparse files below `<home>/devicemapper`. */
function loopStorage(host: Host, folder: string, name: string, options: DevmapperOptions): PoolStorage | DriverError {
  const files = { data: `${folder}/data`, metadata: `${folder}/metadata` };
  const data = attachLoop(host, files.data, options.dataLoopSize, "zero-length target");
  if (isDriverError(data)) return data;
  const metadata = attachLoop(host, files.metadata, options.metadataLoopSize, "Error creating metadata object");
  if (isDriverError(metadata)) {
    detachLoop(host, data);
    return metadata;
  }
  const detach = (): void => {
    detachLoop(host, data);
    detachLoop(host, metadata);
  };
  const pool = openPool(host, name, { data: data.name, metadata: metadata.name }, options.blockSectors);
  if (isDriverError(pool)) {
    detach();
    return pool;
  }
  const end = (): void => {
    closePool(host, pool);
    detach();
  };
  return { pool, dataFile: `/dev/${data.name}`, metadataFile: `/dev/${metadata.name}`, loopFiles: files, end };
}

function deviceName(path: string): string {
  return path.replace(/^\/dev\//, "");
}

/** A pool over two devices that the administrator gives. */
function deviceStorage(host: Host, name: string, options: DevmapperOptions): PoolStorage | DriverError {
  const { dataDevice, metadataDevice } = options;
  if (dataDevice === undefined || metadataDevice === undefined) {
    return new DriverError("devmapper: dm.datadev and dm.metadatadev must both be given");
  }
  const devices = { data: deviceName(dataDevice), metadata: deviceName(metadataDevice) };
  const pool = openPool(host, name, devices, options.blockSectors);
  if (isDriverError(pool)) return pool;
  return { pool, dataFile: dataDevice, metadataFile: metadataDevice, loopFiles: undefined, end: () => closePool(host, pool) };
}

const EXTENT = 4 * 2 ** 20;

/** A pool on one device: 95 percent of it for data, one for metadata, in whole extents of 4 MiB, as Docker's lvcreate makes it. */
function splitStorage(host: Host, device: BlockDevice, blockSectors: number): PoolStorage | DriverError {
  const share = (percent: number): number => Math.floor((device.size * percent) / 100 / EXTENT) * EXTENT;
  const dataSize = share(DIRECT_DATA_PERCENT);
  const metadataSize = Math.max(EXTENT, share(DIRECT_METADATA_PERCENT));
  const names = { data: "docker-thinpool_tdata", metadata: "docker-thinpool_tmeta" };
  const data = new LinearDevice(device, { name: names.data, start: 0, size: dataSize });
  const metadata = new LinearDevice(device, { name: names.metadata, start: dataSize, size: metadataSize });
  host.addDevice(names.data, data, deviceNumber(MAPPER_MAJOR, POOL_MINOR + 1));
  host.addDevice(names.metadata, metadata, deviceNumber(MAPPER_MAJOR, POOL_MINOR));
  const pool = openPool(host, "docker-thinpool", names, blockSectors);
  if (isDriverError(pool)) return pool;
  const end = (): void => {
    closePool(host, pool);
    host.removeDevice(names.data);
    host.removeDevice(names.metadata);
  };
  return { pool, dataFile: "", metadataFile: "", loopFiles: undefined, end };
}

/** Two volumes on one device, as lvcreate would lay them out for Docker: data first, then metadata. */
function directStorage(host: Host, options: DevmapperOptions): PoolStorage | DriverError {
  const source = deviceName(options.directLvmDevice ?? "");
  const attached = host.device(source);
  if (attached === undefined) return new DriverError(`open /dev/${source}: no such file or directory`);
  return splitStorage(host, attached.device, DIRECT_BLOCK_SECTORS);
}

/** Opens the pool that the options ask for. @param name - such as "docker-254:0-1234-pool". */
export function openStorage(host: Host, folder: string, name: string, options: DevmapperOptions): PoolStorage | DriverError {
  if (options.thinPoolDevice !== undefined) {
    const attached = host.device(options.thinPoolDevice);
    if (attached === undefined) return new DriverError(`devmapper: Non existing device ${options.thinPoolDevice}`);
    return splitStorage(host, attached.device, options.blockSectors);
  }
  if (options.directLvmDevice !== undefined) return directStorage(host, options);
  if (options.dataDevice !== undefined || options.metadataDevice !== undefined) return deviceStorage(host, name, options);
  return loopStorage(host, folder, name, options);
}
