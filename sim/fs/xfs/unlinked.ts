/**
 * Inodes without names that are in use: 64 chains a group, begun in the AGI (fs/xfs/xfs_iunlink_item.c, xfs_inode.c: xfs_iunlink).
 * A mount that recovers frees what it finds there.
 */
import { assert } from "../../core/assert.ts";
import type { Errno } from "../../core/errno.ts";
import { UNLINKED_CHAINS } from "./group.ts";
import { NEXT_UNLINKED } from "./inodes.ts";
import { groupInodes, groupOfInode } from "./layout.ts";
import type { XfsState } from "./state.ts";

export function addUnlinked(state: XfsState, ino: number): void {
  const group = state.group(groupOfInode(state.geometry, ino));
  const chain = (ino % groupInodes(state.geometry)) % UNLINKED_CHAINS;
  state.setWord(ino, NEXT_UNLINKED, group.unlinked[chain] as number);
  state.dirtyInode(ino);
  group.beginChain(chain, ino);
}

export function removeUnlinked(state: XfsState, ino: number): void {
  const group = state.group(groupOfInode(state.geometry, ino));
  const chain = (ino % groupInodes(state.geometry)) % UNLINKED_CHAINS;
  const next = state.word(ino, NEXT_UNLINKED) >>> 0;
  if (group.unlinked[chain] === ino) {
    group.beginChain(chain, next);
  } else {
    let before = group.unlinked[chain] as number;
    while (before !== 0 && state.word(before, NEXT_UNLINKED) >>> 0 !== ino) before = state.word(before, NEXT_UNLINKED) >>> 0;
    assert(before !== 0, `inode ${ino} is in no chain of unlinked ones`);
    state.setWord(before, NEXT_UNLINKED, next);
    state.dirtyInode(before);
  }
  state.setWord(ino, NEXT_UNLINKED, 0);
  state.dirtyInode(ino);
}

/** Every inode in a chain. @returns EIO or EUCLEAN when one cannot be read. */
export function unlinkedInodes(state: XfsState): number[] | Errno {
  const found: number[] = [];
  for (const group of state.groups)
    for (const head of group.unlinked)
      for (let ino = head; ino !== 0; ino = state.word(ino, NEXT_UNLINKED) >>> 0) {
        const unread = state.reach(ino);
        if (unread !== undefined) return unread;
        assert(!found.includes(ino), `inode ${ino} is twice in a chain of unlinked ones`);
        found.push(ino);
      }
  return found;
}
