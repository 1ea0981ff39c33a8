/**
 * What becomes of index entries when names go (fs/overlayfs/util.c, ovl_nlink_start, ovl_nlink_end, ovl_cleanup_index).
 *
 * Interface: an object that the index must remember is copied up before its name goes; with its last name its entry goes, or becomes a whiteout
 * where a file handle may ask for it.
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import { IS_DIRECTORY, IS_INDEXED, type Node } from "../nodes.ts";
import { indexName, linksOf } from "./hard-links.ts";
import type { Overlay } from "./state.ts";
import { renameWhiteout } from "./whiteout.ts";

/** Whether an object is copied up before it loses a name, since the index must tell that it was there. */
export function needsCopyToGo(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  return nodes.has(node, IS_INDEXED) || (overlay.indexesAll && nodes.has(node, IS_DIRECTORY) && !nodes.hasUpper(node));
}

/** After a name went: the index entry goes with the last. */
export function afterUnlink(overlay: Overlay, node: Node): void {
  const { nodes, attributes } = overlay;
  if (nodes.has(node, IS_DIRECTORY)) {
    whiteOutDirectory(overlay, node);
    return;
  }
  if (!nodes.has(node, IS_INDEXED) || !nodes.hasUpper(node)) return;
  const failed = overlay.writable.fs.getattr(nodes.upperOf(node), attributes);
  if (failed === undefined && linksOf(overlay, node, attributes.nlink) <= 0) unlinkFromIndex(overlay, node);
}

/** The index entry of a directory that is gone becomes a whiteout. */
function whiteOutDirectory(overlay: Overlay, node: Node): void {
  const lower = overlay.nodes.lowerOf(node);
  if (!overlay.indexesAll || lower === 0) return;
  const name = indexName(overlay, lower);
  if (!isErrno(overlay.writable.fs.lookup(overlay.index, name))) renameWhiteout(overlay, overlay.index, name, true);
}

/** Takes the index entry away: a link that was never counted as a name. A whiteout stays where a file handle may ask for it. */
function unlinkFromIndex(overlay: Overlay, node: Node): Errno | undefined {
  const { nodes, linkDifferences } = overlay;
  linkDifferences.set(node, (linkDifferences.get(node) ?? 0) + 1);
  const name = indexName(overlay, nodes.lowerOf(node));
  return overlay.indexesAll
    ? renameWhiteout(overlay, overlay.index, name, false)
    : overlay.writable.fs.unlink(overlay.index, name);
}
