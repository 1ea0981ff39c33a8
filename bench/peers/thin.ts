/**
 * Thin pools to measure: cowlab's, with its metadata in dm-thin's own format on a disk, and a floor of typed arrays, which has neither
 * metadata nor rules. What is written goes nowhere in both: a pool's own costs are wanted, not its data's.
 */
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type Bytes, bytes, GIB } from "../../sim/core/units.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { parsePoolTable, TargetError } from "../../sim/thin/pool-options.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";
import { CannotRun, type MeasuredPool, type PoolSize } from "../peer.ts";

const BLOCK = 65_536;
const WHOLE_BLOCK = Content.pattern(1, BLOCK);

/** A device that keeps nothing. */
function nowhere(size: number): BlockDevice {
  return {
    name: "nowhere",
    size: bytes(size),
    sectorSize: bytes(512),
    read: (_offset: Bytes, length: Bytes) => Content.zeros(length),
    write: () => undefined,
    discard: () => undefined,
    flush: () => undefined,
  };
}

/** cowlab's pool; without exact metadata it has no metadata device. */
export function cowlabPool({ dataBlocks, volumeBlocks, counted = false }: PoolSize): MeasuredPool {
  const table = parsePoolTable(["meta", "data", "128", "0", "1", "skip_block_zeroing"]);
  const metadata = counted ? {} : { metadata: new Disk({ name: "meta", size: GIB(16), cachedWrites: 0 }) };
  const pool =
    table instanceof TargetError ? table : ThinPool.open({ name: "pool", table, data: nowhere(dataBlocks * BLOCK), ...metadata });
  if (pool instanceof TargetError) throw new CannotRun(pool.reason);
  const volumes: ThinVolume[] = [];
  const volumeOf = (id: number): ThinVolume => {
    const volume = ThinVolume.open(pool, { name: `thin${id}`, id, size: volumeBlocks * BLOCK });
    if (volume instanceof TargetError) throw new CannotRun(volume.reason);
    volumes[id] = volume;
    return volume;
  };
  const must = (failed: Errno | undefined): void => {
    if (failed !== undefined) throw new CannotRun(`a message: ${failed.code}`);
  };
  return {
    create: (id) => must(sendMessage(pool, `create_thin ${id}`)),
    snapshot: (origin, id) => must(pool.metadata.createSnap(id, origin)),
    write: (id, block) => {
      const failed = (volumes[id] ?? volumeOf(id)).write(bytes(block * BLOCK), WHOLE_BLOCK);
      if (failed !== undefined) throw new CannotRun(`a write: ${failed.code}`);
    },
    discard: (id, block) => {
      (volumes[id] as ThinVolume).discard(bytes(block * BLOCK), bytes(BLOCK));
    },
    allocate: () => {
      if (isErrno(pool.newBlock())) throw new CannotRun("no block is free");
    },
    commit: () => {
      pool.commit();
    },
  };
}

const LEAF = 256;
const UNMAPPED = 0xffffffff;

/** A device's map: leaves of typed arrays, which it may share with others. */
interface FloorMap {
  leaves: (Uint32Array | undefined)[];
  /** Whether each leaf, and the list of them, is this map's alone. */
  own: Uint8Array;
  ownsList: boolean;
}

/** A bit a block, a word that tells which of 32 words have a free one, and maps that are copied when they are written. */
export function floorPool({ dataBlocks, volumeBlocks }: PoolSize): MeasuredPool {
  const words = new Uint32Array(Math.ceil(dataBlocks / 32));
  const full = new Uint32Array(Math.ceil(words.length / 32));
  const maps: FloorMap[] = [];
  const leafCount = Math.ceil(volumeBlocks / LEAF);
  let cursor = 0;
  const allocate = (): number => {
    for (let tried = 0; tried <= full.length; tried++) {
      const group = (cursor + tried) % full.length;
      const open = ~(full[group] as number);
      if (open === 0) continue;
      const word = group * 32 + 31 - Math.clz32(open & -open);
      if (word >= words.length) continue;
      const free = ~(words[word] as number);
      const bit = 31 - Math.clz32(free & -free);
      words[word] = (words[word] as number) | (1 << bit);
      if (words[word] === UNMAPPED) full[group] = (full[group] as number) | (1 << (word % 32));
      cursor = group;
      return word * 32 + bit;
    }
    throw new CannotRun("no block is free");
  };
  const leafOf = (map: FloorMap, index: number): Uint32Array => {
    if (!map.ownsList) map.leaves = map.leaves.slice();
    map.ownsList = true;
    const known = map.leaves[index];
    if (known !== undefined && map.own[index] === 1) return known;
    const leaf = known?.slice() ?? new Uint32Array(LEAF).fill(UNMAPPED);
    map.leaves[index] = leaf;
    map.own[index] = 1;
    return leaf;
  };
  return {
    create: (id) => {
      maps[id] = { leaves: [], own: new Uint8Array(leafCount), ownsList: true };
    },
    snapshot: (origin, id) => {
      const of = maps[origin] as FloorMap;
      of.own = new Uint8Array(leafCount);
      of.ownsList = false;
      maps[id] = { leaves: of.leaves, own: new Uint8Array(leafCount), ownsList: false };
    },
    write: (id, block) => {
      leafOf(maps[id] as FloorMap, Math.floor(block / LEAF))[block % LEAF] = allocate();
    },
    discard: (id, block) => {
      const leaf = leafOf(maps[id] as FloorMap, Math.floor(block / LEAF));
      const data = leaf[block % LEAF] as number;
      leaf[block % LEAF] = UNMAPPED;
      words[data >>> 5] = (words[data >>> 5] as number) & ~(1 << (data & 31));
      full[data >>> 10] = (full[data >>> 10] as number) & ~(1 << ((data >>> 5) & 31));
    },
    allocate,
    commit: () => {},
  };
}
