/**
 * mkfs.btrfs (btrfs-progs 6.2 mkfs/main.c, kernel-shared/volumes.c): one device, data single, metadata DUP, 16 KiB nodes, the free space tree and no-holes
 * (spec/block-cow.md 2.3).
 */
import type { BlockDevice } from "../../block/device.ts";
import { InvariantError } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { EINVAL, type Errno } from "../../core/errno.ts";
import { EventStream } from "../../core/events.ts";
import { NameTable } from "../../core/names.ts";
import { Random } from "../../core/random.ts";
import { alignDown, bytes, deviceNumber, GIB, MIB } from "../../core/units.ts";
import { Tree } from "../tree.ts";
import { BlockGroup } from "./block-group.ts";
import { commit, settleReferences } from "./commit.ts";
import { settleChunk } from "./extent-items.ts";
import {
  CHECKSUM_TREE,
  CHUNK_TREE,
  DATA_RELOCATION_TREE,
  DEV_ITEM,
  DEVICE_TREE,
  EXTENT_TREE,
  FIRST_FREE,
  FREE_SPACE_TREE,
  key,
  NODE_SIZE,
  ROOT_TREE,
  STRIPE_LENGTH,
  TOP_SUBVOLUME,
  UUID_TREE,
} from "./layout.ts";
import { Space } from "./space.ts";
import { BtrfsState } from "./state.ts";
import { makeRootFolder } from "./subvolumes.ts";

export interface MkfsOptions {
  readonly clock: Clock;
  /** What the uuid comes from. Default 1. */
  readonly seed?: number;
}

const FIRST_CHUNK = 13_631_488;
const SMALL_CHUNK = MIB(8);
const METADATA_MIN = MIB(32);

/** The first metadata chunk: 256 MiB (1 GiB on a device above 50 GiB), but not above a tenth, which DUP halves. */
function metadataBytes(deviceBytes: number): number {
  const tenth = Math.floor(deviceBytes / 10);
  const wanted = deviceBytes > GIB(50) ? GIB(1) : MIB(256);
  const length = wanted > tenth ? alignDown(Math.floor(tenth / 2), STRIPE_LENGTH) : wanted;
  return Math.max(length, METADATA_MIN);
}

function firstChunks(space: Space): void {
  const metadata = metadataBytes(space.deviceBytes);
  const system = FIRST_CHUNK + SMALL_CHUNK;
  const last = system + 2 * SMALL_CHUNK;
  space.add(new BlockGroup({ start: FIRST_CHUNK, length: SMALL_CHUNK, type: "data", stripes: [FIRST_CHUNK] }));
  space.add(new BlockGroup({ start: system, length: SMALL_CHUNK, type: "system", stripes: [system, system + SMALL_CHUNK] }));
  const start = system + SMALL_CHUNK;
  space.add(new BlockGroup({ start, length: metadata, type: "metadata", stripes: [last, last + metadata] }));
}

/** Where the tool leaves the roots of metadata, counted in nodes from the beginning of their chunk; what is between them it wrote and let go again. */
const ROOTS_AT: readonly (readonly [tree: number, at: number])[] = [
  [EXTENT_TREE, 0],
  [TOP_SUBVOLUME, 1],
  [CHECKSUM_TREE, 5],
  [DATA_RELOCATION_TREE, 7],
  [UUID_TREE, 8],
  [DEVICE_TREE, 9],
  [FREE_SPACE_TREE, 10],
  [ROOT_TREE, 11],
];

/** Empty trees, in the tool's places. */
function makeTrees(state: BtrfsState): void {
  const { space } = state;
  const left = [space.takeNode("system", NODE_SIZE)];
  state.trees.set(CHUNK_TREE, new Tree(state, CHUNK_TREE));
  let next = 0;
  for (const [id, at] of ROOTS_AT) {
    for (; next < at; next++) left.push(space.takeNode("metadata", NODE_SIZE));
    state.trees.set(id, new Tree(state, id));
    next += 1;
  }
  for (const start of left) space.release(start, NODE_SIZE);
}

/** Makes a filesystem. @returns EINVAL for a device that is too small for its first chunks. */
export function mkfsBtrfs(device: BlockDevice, options: MkfsOptions): Errno | undefined {
  const space = new Space(device.size, true);
  const need = FIRST_CHUNK + 3 * SMALL_CHUNK + 2 * metadataBytes(space.deviceBytes);
  if (space.deviceBytes < need) return EINVAL;
  firstChunks(space);
  const random = new Random((options.seed ?? 1) + options.clock.now + device.size);
  const uuid = Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const environment = {
    names: new NameTable(),
    clock: options.clock,
    events: new EventStream(() => options.clock.now),
    cache: { mapping: () => never(), memoryPages: 0, dirtyPages: 0 },
    newDevice: () => deviceNumber(0, 0),
    profile: {
      sizeClasses: true,
      dropsQgroups: true,
      writesBatches: false,
      limitsReserve: true,
      commitsSubvolumes: false,
      discardsLater: false,
      dropsNewChunks: false,
    },
  };
  const parts = { space, uuid, generation: 1, mayHaveCache: true, commit, settleReferences };
  const state = new BtrfsState(device, environment, parts);
  makeTrees(state);
  for (const group of space.groups) settleChunk(state, group, true);
  state.tree(CHUNK_TREE).set(key(1, DEV_ITEM, 1), 98, { bytes: bytes(space.deviceBytes) });
  const subvolume = {
    id: TOP_SUBVOLUME,
    tree: state.tree(TOP_SUBVOLUME),
    item: { ...state.plainRoot(TOP_SUBVOLUME), uuid: state.newUuid() },
    device: undefined,
    lastIno: FIRST_FREE,
    logSyncs: 0,
    lastLogSync: 0,
  };
  state.subvolumes.set(TOP_SUBVOLUME, subvolume);
  state.itemChanged(subvolume);
  // btrfs-progs counts the node that the folder is in as its data.
  makeRootFolder(state, subvolume, NODE_SIZE);
  return state.commit();
}

function never(): never {
  throw new InvariantError("a filesystem that is being made caches no pages");
}
