/**
 * Finding a name: the writable branch first, then the merged view of the branches below (fs/aufs/dentry.c, au_lkup_dentry; spec/union.md
 * section 12).
 */
import { EIO, ENOENT, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ABSENT, OPAQUE, WHITEOUT } from "../layer.ts";
import type { ViewNode } from "../lower-view.ts";
import {
  IS_DIRECTORY,
  IS_OPAQUE,
  IS_SHARED,
  IS_UNLINKED,
  NEGATIVE_ENTRY,
  NO_UPPER,
  type Node,
  WHITEOUT_ENTRY,
} from "../nodes.ts";
import { IS_DISPLACED, IS_PSEUDO_LINKED, IS_STALE } from "./flags.ts";
import { isReserved } from "./names.ts";
import { UPPER_BRANCH } from "./rules.ts";
import type { Aufs } from "./state.ts";

/** @returns the node, ENOENT, or EPERM for one of aufs's own names. */
export function lookup(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  const known = aufs.nodes.dentries.lookup(directory, name);
  if (known === 0) return meet(aufs, directory, name);
  if (known >= WHITEOUT_ENTRY) return ENOENT;
  // Which of its names a call copies up is the one that was walked last.
  if (aufs.nodes.has(known, IS_SHARED)) aufs.nodes.seeAs(known, directory, name);
  return known;
}

/**
 * What a path walk finds. The entries of a directory that an exchange within one directory moved, as far as they were known, are not found until
 * somebody asks for its attributes: they are looked for where it was (part D, C7 v).
 */
export function walk(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  if (aufs.displaced > 0 && aufs.nodes.has(directory, IS_DISPLACED)) {
    const known = aufs.nodes.dentries.lookup(directory, name);
    if (known !== 0 && known < WHITEOUT_ENTRY) return ENOENT;
  }
  return lookup(aufs, directory, name);
}

/** Whether the writable branch has a whiteout at a name that is absent. */
export function isWhitedOut(aufs: Aufs, directory: Node, name: Name): boolean {
  return aufs.nodes.dentries.lookup(directory, name) === WHITEOUT_ENTRY;
}

/** Whether a name of a node is on the writable branch: not each name of a pseudo-linked one is. */
export function isOnUpper(aufs: Aufs, node: Node, directory: Node, name: Name): boolean {
  const { nodes, upper } = aufs;
  if (upper === undefined || !nodes.hasUpper(node)) return false;
  if (!nodes.has(node, IS_PSEUDO_LINKED)) return true;
  return nodes.hasUpper(directory) && !isErrno(upper.fs.lookup(nodes.upperOf(directory), name));
}

/** The first lookup of a name. */
function meet(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  const { nodes, upper, counters } = aufs;
  if (isReserved(aufs.names.text(name))) return EPERM;
  counters.lookups += 1;
  if (upper !== undefined && nodes.hasUpper(directory)) {
    counters.layerLookups += 1;
    const found = aufs.rules.probe(upper.fs, nodes.upperOf(directory), name, UPPER_BRANCH);
    if (isErrno(found)) return found;
    if (found === WHITEOUT) {
      nodes.leave(directory, name, WHITEOUT_ENTRY);
      return ENOENT;
    }
    if (found !== ABSENT) return meetUpper(aufs, directory, name, found as Inode);
  }
  const lower = findBelow(aufs, directory, name);
  if (isErrno(lower)) return lower;
  if (lower === 0) {
    nodes.leave(directory, name, NEGATIVE_ENTRY);
    return ENOENT;
  }
  const node = aufs.view.isDirectory(lower) ? lowerDirectory(aufs, lower) : lowerObject(aufs, lower);
  nodes.enter(directory, name, node);
  return node;
}

function findBelow(aufs: Aufs, directory: Node, name: Name): ViewNode | Errno {
  const below = aufs.nodes.lowerOf(directory);
  if (below === 0) return 0;
  const lower = aufs.view.lookup(below, name);
  aufs.counters.layerLookups += aufs.view.lastProbes;
  return lower;
}

function lowerDirectory({ nodes }: Aufs, lower: ViewNode): Node {
  const node = nodes.add(NO_UPPER, lower, IS_DIRECTORY);
  nodes.setType(node, S_IFDIR);
  return node;
}

/**
 * The node of a lower object that is no directory: names of one inode in one branch are one node (au_new_inode by xino), unless copy-up may
 * part them (noplink).
 */
function lowerObject(aufs: Aufs, lower: ViewNode): Node {
  const { nodes, view, attributes } = aufs;
  view.fsOf(lower).getattr(view.inodeOf(lower), attributes);
  if (attributes.nlink === 1 || !aufs.options.plink) {
    const node = nodes.add(NO_UPPER, lower, 0);
    nodes.setType(node, attributes.mode);
    return node;
  }
  const key = view.stray(view.layerOf(lower), view.inodeOf(lower));
  const known = aufs.byLower.get(key);
  if (known !== undefined) {
    nodes.clear(known, IS_STALE | IS_UNLINKED);
    return known;
  }
  const node = nodes.add(NO_UPPER, key, IS_SHARED);
  nodes.setType(node, attributes.mode);
  aufs.byLower.set(key, node);
  return node;
}

function meetUpper(aufs: Aufs, directory: Node, name: Name, inode: Inode): Node | Errno {
  const { upper, nodes, attributes } = aufs;
  if (upper === undefined) return EIO;
  const failed = upper.fs.getattr(inode, attributes);
  if (failed !== undefined) return failed;
  const { mode, nlink } = attributes;
  let node: Node;
  if ((mode & S_IFMT) === S_IFDIR) {
    const opaque = (aufs.rules.marksOf(upper.fs, inode, UPPER_BRANCH) & OPAQUE) !== 0;
    const lower = opaque ? 0 : findBelow(aufs, directory, name);
    if (isErrno(lower)) return lower;
    const merged = lower !== 0 && aufs.view.isDirectory(lower) ? lower : 0;
    node = nodes.add(inode, merged, opaque ? IS_DIRECTORY | IS_OPAQUE : IS_DIRECTORY);
  } else {
    const known = nlink > 1 ? aufs.byUpper.get(inode) : undefined;
    node = known ?? nodes.add(inode, 0, 0);
    if (nlink > 1 && known === undefined) shareByUpper(aufs, node);
  }
  nodes.setType(node, mode);
  nodes.enter(directory, name, node);
  return node;
}

/** From now on every name of the node's upper inode leads to the node. */
export function shareByUpper(aufs: Aufs, node: Node): void {
  aufs.byUpper.set(aufs.nodes.upperOf(node), node);
  aufs.nodes.set(node, IS_SHARED);
}
