/** The superblock as a record, and nodes read back from the device (fs/btrfs/disk-io.c: btrfs_read_dev_super, open_ctree). */
import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { EINVAL, EIO, type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { Node } from "../node.ts";
import type { ChunkItem } from "./items.ts";
import { NODE_SIZE, SUPERBLOCK_AT, SUPERBLOCK_BYTES } from "./layout.ts";
import type { Space } from "./space.ts";

export interface SuperblockRecord extends BlockRecord {
  readonly kind: "btrfs.superblock";
  readonly uuid: string;
  readonly generation: number;
  readonly root: number;
  /** The root of the tree of log trees; 0: nothing was logged since the commit. */
  readonly logRoot: number;
  readonly chunkRoot: number;
  readonly totalBytes: number;
  /** Whether there may be a space cache of the old kind (cache_generation), as mkfs says of every filesystem: the first mount takes that back. */
  readonly mayHaveCache: boolean;
  /** The system chunks, so that the chunk tree can be read (sys_chunk_array). */
  readonly systemChunks: readonly { readonly start: number; readonly item: ChunkItem }[];
}

/** Writes all copies of the superblock that the device has room for, or, as a log's sync does, only the first. */
export function writeSuperblock(
  device: BlockDevice,
  record: SuperblockRecord,
  copies: "all" | "first" = "all",
): Errno | undefined {
  let failed: Errno | undefined;
  for (const at of copies === "all" ? SUPERBLOCK_AT : SUPERBLOCK_AT.slice(0, 1)) {
    if (at + SUPERBLOCK_BYTES <= device.size) failed = device.write(bytes(at), Content.record(record)) ?? failed;
  }
  return failed;
}

/**
 * The superblock: the first copy that can be read. The kernel looks at the first alone; where a power cut has torn that one, the next serves, as `btrfs rescue
 * super-recover` would have it. @returns EINVAL when there is no btrfs.
 */
export function readSuperblock(device: BlockDevice): SuperblockRecord | Errno {
  let failed: Errno = EINVAL;
  for (const at of SUPERBLOCK_AT) {
    if (device.size < at + SUPERBLOCK_BYTES) continue;
    const content = device.read(bytes(at), bytes(SUPERBLOCK_BYTES));
    if (isErrno(content)) failed = content;
    else {
      const record = content.wholeRecord();
      if (record?.kind === "btrfs.superblock") return record as SuperblockRecord;
    }
  }
  return failed;
}

/** Reads a node from the first of its places that holds it. @returns EIO when none does. */
function readNode(device: BlockDevice, places: readonly number[], address: number): Node | Errno {
  for (const place of places) {
    const content = device.read(bytes(place), bytes(NODE_SIZE));
    if (isErrno(content)) continue;
    const record = content.wholeRecord();
    if (record instanceof Node && record.address === address) return record;
  }
  return EIO;
}

/** Where nodes are kept that were read, by address. */
interface ReadNodes {
  get(address: number): Node | undefined;
  set(address: number, node: Node): void;
}

/** Reads every node below an address that was not read before: trees may share some. @returns EIO when one cannot be read. */
export function readBelow(
  from: { readonly device: BlockDevice; readonly space: Space },
  nodes: ReadNodes,
  address: number,
): Errno | undefined {
  if (nodes.get(address) !== undefined) return undefined;
  const group = from.space.groups.find(({ start, end }) => address >= start && address < end);
  if (group === undefined) return EIO;
  const places = group.stripes.map((stripe) => stripe + address - group.start);
  const node = readNode(from.device, places, address);
  if (isErrno(node)) return node;
  nodes.set(address, node);
  for (const child of node.children) {
    const failed = readBelow(from, nodes, child);
    if (failed !== undefined) return failed;
  }
  return undefined;
}
