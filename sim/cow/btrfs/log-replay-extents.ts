/** Data that a log tree tells of comes into its file (fs/btrfs/tree-log.c: replay_one_extent; Linux 6.18). */
import { alignUp } from "../../core/units.ts";
import type { Tree } from "../tree.ts";
import { writeInode } from "./delayed-inodes.ts";
import { addChecksums, checksumsIn, removeChecksums } from "./extent-items.ts";
import { dropExtents, putExtent } from "./file-extents.ts";
import type { InodeState } from "./inode-state.ts";
import { inodeOf } from "./inodes.ts";
import type { DiskExtent } from "./items.ts";
import { CHECKSUM_TREE, EXTENT_DATA, handleOf, key, SECTOR_SIZE } from "./layout.ts";
import { bytesWithChecksums, type LoggedExtent } from "./log-extents.ts";
import type { Replay } from "./log-replay-names.ts";
import type { BtrfsState } from "./state.ts";

/** Puts an extent in the place of what the file has there. One that no extent item tells of yet is allocated where it is. */
export function replayExtent({ state, subvolume, log }: Replay, ino: number, at: number, extent: LoggedExtent): void {
  const inode = inodeOf(state, handleOf(subvolume.id, ino));
  const there = subvolume.tree.get(key(ino, EXTENT_DATA, at)) as LoggedExtent | undefined;
  if (isSame(there, extent)) return;
  dropExtents(state, inode, at, alignUp(at + extent.length, SECTOR_SIZE));
  if (extent.kind !== "hole") {
    putExtent(inode, at, extent);
    inode.bytes += extent.length;
    if (extent.kind !== "inline") refer(state, log, inode, at, extent);
  }
  writeInode(inode);
}

/** Whether the file has that very extent. */
function isSame(there: LoggedExtent | undefined, extent: LoggedExtent): boolean {
  if (there === undefined || there.kind !== extent.kind || there.kind === "inline" || there.kind === "hole") return false;
  const { start, offset, length, generation } = extent as DiskExtent;
  return there.start === start && there.offset === offset && there.length === length && there.generation === generation;
}

function refer(state: BtrfsState, log: Tree, inode: InodeState, at: number, extent: DiskExtent): void {
  const { start, diskBytes } = extent;
  const item = { start, object: inode.ino, offset: at - extent.offset };
  const { id } = inode.subvolume;
  if (state.references.extent(start) !== undefined) state.references.changeData(id, item, 1);
  else {
    state.space.takeAt(start, diskBytes);
    state.references.addData({ start, length: diskBytes, generation: state.generation }, id, item);
  }
  const bytes = bytesWithChecksums(extent);
  for (const [from, length] of checksumsIn(log, bytes.start, bytes.length)) {
    removeChecksums(state.tree(CHECKSUM_TREE), from, length);
    addChecksums(state, from, length);
  }
}
