/**
 * What a directory that shows nothing is (fs/aufs/dir.c, au_test_empty, au_test_empty_lower and test_empty_cb; spec/union.md sections 14 and 15).
 *
 * Interface: unlike a listing, this looks at the branches themselves: every whiteout covers what comes after it, also in a branch where whiteouts
 * do not count and in the lowest one, and an entry of the same name covers nothing.
 */
import { ENOTEMPTY, type Errno, isErrno } from "../../core/errno.ts";
import type { LayerDirectory } from "../layer.ts";
import type { Node } from "../nodes.ts";
import { hiddenBy, isWhiteoutName } from "./names.ts";
import type { Aufs } from "./state.ts";

/** @returns ENOTEMPTY while a directory shows an entry, one that is too long to be reached too. */
export function testEmpty(aufs: Aufs, node: Node): Errno | undefined {
  return testBranches(aufs, node, 0);
}

/** Whether every name that a directory has on branches below its topmost one has a whiteout above it. @returns ENOTEMPTY where one has none. */
export function testLowerEmpty(aufs: Aufs, node: Node): Errno | undefined {
  return testBranches(aufs, node, 1);
}

/** @param first - which of the directory's branches is the first whose names count */
function testBranches(aufs: Aufs, node: Node, first: number): Errno | undefined {
  const whited = new Set<string>();
  for (const [at, { fs, inode }] of branchesOf(aufs, node).entries()) {
    let filled = false;
    const failed = fs.iterate(inode, (name) => {
      const text = aufs.names.text(name);
      if (isWhiteoutName(text)) whited.add(hiddenBy(text));
      else if (at >= first && !whited.has(text)) filled = true;
    });
    if (isErrno(failed)) return failed;
    if (filled) return ENOTEMPTY;
  }
  return undefined;
}

/** A directory's inodes, topmost first. */
function branchesOf(aufs: Aufs, node: Node): LayerDirectory[] {
  const found: LayerDirectory[] = [];
  for (const [branch, { fs }] of aufs.uppers.entries()) {
    const inode = aufs.inodeOn(node, branch);
    if (inode !== undefined) found.push({ fs, inode });
  }
  const lower = aufs.nodes.lowerOf(node);
  return lower === 0 ? found : [...found, ...aufs.view.stackOf(lower)];
}
