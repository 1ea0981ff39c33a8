/** mkfs.xfs: a new filesystem with the root directory, the two inodes of a realtime part that is not there, and a log (xfsprogs mkfs/xfs_mkfs.c, proto.c). */
import type { BlockDevice } from "../../block/device.ts";
import { Clock } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { EINVAL, type Errno } from "../../core/errno.ts";
import { EventStream } from "../../core/events.ts";
import { NameTable } from "../../core/names.ts";
import { bytes, deviceNumber, KIB } from "../../core/units.ts";
import { S_IFDIR, S_IFREG } from "../../vfs/filesystem.ts";
import { newState } from "./assemble.ts";
import { newDirectoryData } from "./inode-load.ts";
import { addChunk } from "./inode-space.ts";
import { EXTRA, MODE, NLINK, TIMES } from "./inodes.ts";
import {
  BLOCK_SIZE,
  CHUNK_INODES,
  chunkBlocks,
  DEVICE_BYTES_MIN,
  type GeometryOptions,
  geometryOf,
  groupStart,
  rootInode,
  SECTORS_PER_BLOCK,
  type Stripe,
} from "./layout.ts";
import { writeRecord } from "./records.ts";
import { allocateExact } from "./space.ts";
import type { XfsEnvironment, XfsState } from "./state.ts";

export interface MkfsOptions extends GeometryOptions {
  /** Whose time the first inodes get. Default: a clock of its own. */
  readonly clock?: Clock;
}

/** WHACK_SIZE: what mkfs overwrites at both ends of the device, where other filesystems and RAIDs keep their marks. */
const WIPED_BYTES: number = KIB(128);

function wipeEnds(device: BlockDevice): Errno | undefined {
  const zeros = Content.zeros(WIPED_BYTES);
  const end = device.size - (device.size % device.sectorSize);
  return device.write(bytes(0), zeros) ?? device.write(bytes(end - WIPED_BYTES), zeros);
}

/** The stripe that the device tells of itself; undefined where that is no more than a block, or not told. */
function stripeOf({ io }: BlockDevice): Stripe | undefined {
  if (io === undefined || io.minimum <= BLOCK_SIZE || io.minimum % BLOCK_SIZE !== 0 || io.optimal % io.minimum !== 0)
    return undefined;
  return { unit: io.minimum / BLOCK_SIZE, width: io.optimal / BLOCK_SIZE };
}

/**
 * Makes an xfs on the whole device, as mkfs.xfs 6.1 does; aligned to the device's stripes unless the options name others.
 * @returns EINVAL for a device below 300 MiB or above 16 TiB, or whose groups are too small for the log; or the device's error.
 */
export function mkfsXfs(device: BlockDevice, options: MkfsOptions = {}): Errno | undefined {
  if (device.size < DEVICE_BYTES_MIN || device.size > 2 ** 44) return EINVAL;
  const clock = options.clock ?? new Clock();
  const geometry = geometryOf(device.size, { ...options, stripe: "stripe" in options ? options.stripe : stripeOf(device) });
  const logEnd = geometry.logStart + geometry.logBlocks;
  if (geometry.logUnit > 0 && logEnd > groupStart(geometry, Math.floor(geometry.groups / 2) + 1)) return EINVAL;
  const size = bytes(geometry.blocks * BLOCK_SIZE);
  const discarded = device.discard(bytes(0), size);
  if (discarded !== undefined) {
    // A device that cannot discard: what mkfs relies on being zero is overwritten as a whole.
    const failed = device.write(bytes(0), Content.zeros(size));
    if (failed !== undefined) return failed;
  }
  const unwiped = wipeEnds(device);
  if (unwiped !== undefined) return unwiped;
  const state = newState(device, geometry, toolEnvironment(clock));
  for (const group of state.groups) {
    group.format();
    state.freeBlocks += group.countedFree;
    group.dirtyAll();
  }
  populate(state);
  return writeAll(state);
}

/** What a state takes from its host, for tools that work on a device that is not mounted. */
export function toolEnvironment(clock: Clock): XfsEnvironment {
  const cache = {
    mapping: (): never => {
      throw new RangeError("tools cache no pages");
    },
  };
  return { names: new NameTable(), clock, events: new EventStream(() => clock.now), cache, device: deviceNumber(0, 0) };
}

/** The root directory, and the bitmap and the summary of a realtime part. */
function populate(state: XfsState): void {
  const { geometry } = state;
  const root = rootInode(geometry);
  const group = state.group(0);
  const start = root / geometry.inodesPerBlock;
  allocateExact(state, group, start, chunkBlocks(geometry));
  addChunk(state, group, start);
  const used = 3;
  const record = [root, ~((1 << used) - 1), -1, CHUNK_INODES - used];
  for (const tree of [group.inodes, group.freeInodes]) {
    tree?.find(root);
    tree?.update(record);
  }
  group.freeInodeCount -= used;
  for (let n = 0; n < used; n++) makeInode(state, root + n, n === 0 ? S_IFDIR | 0o755 : S_IFREG, n === 0 ? 2 : 1);
  state.setWord(root, EXTRA, root);
  const data = newDirectoryData(state, root);
  state.setData(root, data);
  state.setSize(root, data.shortBytes);
}

function makeInode(state: XfsState, ino: number, mode: number, links: number): void {
  state.setWord(ino, MODE, mode);
  state.setWord(ino, NLINK, links);
  const { times } = state.chunk(ino);
  const at = (ino % CHUNK_INODES) * TIMES;
  times.fill(state.environment.clock.time(), at, at + TIMES);
  state.dirtyInode(ino);
}

/** Writes what a mount will read, in place; and the superblock's copies. */
function writeAll(state: XfsState): Errno | undefined {
  const { device, geometry, log } = state;
  let failed = log.format() ?? log.writeRunning();
  for (const { index } of state.groups)
    failed ??= writeRecord(device, groupStart(geometry, index) * SECTORS_PER_BLOCK, state.freeze());
  return failed ?? device.flush();
}
