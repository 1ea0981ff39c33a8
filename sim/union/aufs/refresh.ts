/**
 * Looking again for what is known already, where what the branches show has changed all at once: branches were added or taken away, or a
 * directory was renamed together with what lies below it (fs/aufs/dentry.c, au_refresh_dentry; super.c, au_refresh_d).
 *
 * Interface: a node stays itself as long as the same object shows at its name, and a directory as long as a directory does.
 */
import type { Name } from "../../core/names.ts";
import { IS_DIRECTORY, IS_OPAQUE, IS_SHARED, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { type Found, newFound } from "./found.ts";
import { loseEntry } from "./lose.ts";
import { search } from "./search.ts";
import type { Aufs } from "./state.ts";

/** Looks again for a directory under its own name, and for everything known below it. */
export function refreshEntries(aufs: Aufs, directory: Node): void {
  const { nodes } = aufs;
  const found = newFound();
  const failed = search(aufs, nodes.parentOf(directory), nodes.nameOf(directory), found);
  if (failed === undefined && found.isDirectory) adopt(aufs, directory, found);
  refreshBelow(aufs, directory);
}

/** Looks again for the entries of a directory whose own branches are known. */
export function refreshBelow(aufs: Aufs, directory: Node): void {
  for (const { name, child } of aufs.nodes.dentries.entries(directory)) {
    if (child >= WHITEOUT_ENTRY) aufs.nodes.forget(directory, name);
    else refreshEntry(aufs, directory, name, child);
  }
}

/** Looks again for one known entry of a directory, and for what is known in it. */
export function refreshEntry(aufs: Aufs, directory: Node, name: Name, child: Node): void {
  const found = newFound();
  const failed = search(aufs, directory, name, found);
  if (failed !== undefined || !isStill(aufs, child, found)) {
    loseEntry(aufs, directory, name, child);
    return;
  }
  if (!found.isDirectory) return;
  adopt(aufs, child, found);
  refreshBelow(aufs, child);
}

/** Whether a node is what shows at its name. */
function isStill(aufs: Aufs, node: Node, found: Found): boolean {
  const { nodes } = aufs;
  if (found.branch < 0 && found.lower === 0) return false;
  if (nodes.has(node, IS_DIRECTORY) || found.isDirectory) return nodes.has(node, IS_DIRECTORY) && found.isDirectory;
  const fs = found.branch >= 0 ? aufs.upperAt(found.branch).fs : aufs.view.fsOf(found.lower);
  const inode = found.branch >= 0 ? found.inode : aufs.view.inodeOf(found.lower);
  if (aufs.fsOf(node) === fs && aufs.inodeOf(node) === inode) return true;
  if (!nodes.has(node, IS_SHARED)) return false;
  // Another name of a pseudo-linked node.
  if (found.branch >= 0) return aufs.upperAt(found.branch).shared.get(inode) === node;
  return aufs.byLower.get(aufs.view.stray(aufs.view.layerOf(found.lower), inode)) === node;
}

/** A directory is made up of what was found. */
function adopt(aufs: Aufs, node: Node, found: Found): void {
  const { nodes, instances } = aufs;
  nodes.clear(node, IS_OPAQUE);
  if (found.branch < 0) {
    nodes.showLower(node, found.lower);
    instances.delete(node);
    return;
  }
  nodes.setUpper(node, found.inode, found.branch);
  nodes.setLower(node, found.lower);
  if (found.isOpaque) nodes.set(node, IS_OPAQUE);
  if (aufs.uppers.length > 1) instances.set(node, found.instances.slice());
  else instances.delete(node);
  aufs.whenPlaced?.(node);
}
