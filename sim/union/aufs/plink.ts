/**
 * Pseudo-links: hard links that outlive copy-up (fs/aufs/plink.c; spec/union.md section 16 and part D, C4 and C5).
 *
 * When one of several names of a lower file is copied up, a link in `.wh..wh.plnk` keeps the copy for the others; each of them comes up as
 * a hard link of it when it is changed or read. While the mount lives, st_nlink is counted as if all names were on one branch.
 */
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import type { Node } from "../nodes.ts";
import { keepingTimes } from "./dir-times.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { shareByUpper } from "./lookup.ts";
import { isTaken } from "./present.ts";
import type { Aufs, Place } from "./state.ts";

/**
 * Makes a node that was just copied up a pseudo-linked one; that its link cannot be made is nobody's failure (au_plink_append).
 * @param links - how many names it has from now on.
 */
export function addPseudoLink(aufs: Aufs, node: Node, links: number): void {
  const { nodes } = aufs;
  const branch = aufs.branchOf(node);
  const { pseudoLinks } = aufs.ownOn(branch);
  if (pseudoLinks === undefined) return;
  const { fs } = aufs.upperAt(branch);
  const inode = nodes.upperOf(node);
  if (fs.getattr(inode, aufs.otherAttributes) === undefined) {
    fs.link(inode, pseudoLinks, aufs.names.intern(`${aufs.numberOf(node)}.${aufs.otherAttributes.inodeNumber}`));
  }
  aufs.linkCounts.set(node, links);
  // Kept until the mount ends, so that a name that is met later is known to be its.
  if (!nodes.has(node, IS_PSEUDO_LINKED)) nodes.hold(node);
  nodes.set(node, IS_PSEUDO_LINKED);
  shareByUpper(aufs, node);
}

/** Brings a further name of a pseudo-linked node up to its branch; the name's directory is there, and keeps its times (au_cpup_single). */
export function linkUp(aufs: Aufs, node: Node, { directory, name }: Place): Errno | undefined {
  const { nodes, counters } = aufs;
  const branch = aufs.branchOf(node);
  const { fs } = aufs.upperAt(branch);
  // Somebody made it there beside the mount (au_lkup_neg: "should be negative").
  if (isTaken(aufs, { directory, name, branch })) return EIO;
  const link = (): Errno | undefined => fs.link(nodes.upperOf(node), aufs.mustBeOn(directory, branch), name);
  const failed = keepingTimes(aufs, directory, branch, link);
  if (isErrno(failed)) return failed;
  counters.pseudoLinks += 1;
  return undefined;
}
