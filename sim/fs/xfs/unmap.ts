/** Taking blocks from a file (fs/xfs/libxfs/xfs_bmap.c: xfs_bunmapi): shared ones lose one of their uses, the others are freed. */
import type { FileData } from "./file-data.ts";
import { forkSpace } from "./fork-space.ts";
import { INNER_FLAGS, PROJECT, SHARES } from "./inodes.ts";
import { endOwnPromises, endPromises } from "./promise.ts";
import { dropUse, endStaging } from "./shared.ts";
import { freeBlocks } from "./space.ts";
import type { XfsState } from "./state.ts";

/** Visits a run on the disk group by group. */
export function visitByGroup(state: XfsState, start: number, count: number, visit: (start: number, count: number) => void): void {
  const { groupBlocks } = state.geometry;
  for (let at = start; at < start + count; ) {
    const end = Math.min(start + count, (Math.floor(at / groupBlocks) + 1) * groupBlocks);
    visit(at, end - at);
    at = end;
  }
}

/** Frees the mapped blocks of [first, end). */
export function freeMapped(state: XfsState, ino: number, data: FileData, first: number, end: number): void {
  const { fork } = data;
  const shares = (state.word(ino, INNER_FLAGS) & SHARES) !== 0;
  let freed = 0;
  fork.list.remove(
    first,
    end,
    (physical, count) => {
      visitByGroup(state, physical, count, (start, blocks) => {
        if (shares) dropUse(state, start, blocks);
        else freeBlocks(state, start, blocks);
      });
      freed += count;
    },
    fork,
  );
  if (freed === 0) return;
  state.addBlocks(ino, -freed);
  fork.settle(forkSpace(state, ino));
  state.dirtyFork(ino);
}

/** Gives back what the copy-on-write fork holds of [first, end) (xfs_reflink_cancel_cow_range). */
export function cancelCow(state: XfsState, ino: number, data: FileData, first: number, end: number): void {
  const { cow } = data;
  if (cow === undefined) return;
  endPromises(state, ino, cow.delayed, [first, end], "dropped");
  cow.list.remove(
    first,
    end,
    (physical, count) => {
      endStaging(state, physical, count);
      freeBlocks(state, physical, count);
      state.projects.charge(state.word(ino, PROJECT), -count);
    },
    cow,
  );
  if (cow.blocks === 0) data.cow = undefined;
}

/** Takes what a file's own fork has in [first, end), promised or mapped. */
export function freeData(state: XfsState, ino: number, data: FileData, first: number, end: number): void {
  endOwnPromises(state, ino, data, [first, end], "dropped");
  freeMapped(state, ino, data, first, end);
}

/** Takes everything that a file has in [first, end), its copy-on-write fork included. */
export function freeRange(state: XfsState, ino: number, data: FileData, first: number, end: number): void {
  cancelCow(state, ino, data, first, end);
  freeData(state, ino, data, first, end);
}
