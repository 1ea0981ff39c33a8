/**
 * File handles of directories under nfs_export=on (fs/overlayfs/export.c: ovl_check_encode_origin, ovl_connect_layer; Linux 6.18, recorded).
 *
 * A handle names the topmost lower directory, from which the kernel must find its way back to the union. The way up from there leads through the layer's
 * own directories, and meets a directory that was copied up by its index entry; where an ancestor shows in a higher layer than the directory itself, the
 * way is lost, and what lies below that ancestor is copied up to be met.
 */
import type { Errno } from "../../core/errno.ts";
import { IS_DIRECTORY, type Node, ROOT_NODE } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import { hasIndexEntry } from "./hard-links.ts";
import type { Overlay } from "./state.ts";

/** Makes sure that the handle of a directory will lead to it. */
export function connectHandle(overlay: Overlay, node: Node): Errno | undefined {
  const { nodes } = overlay;
  const isNamedBelow = nodes.has(node, IS_DIRECTORY) && node !== ROOT_NODE && nodes.lowerOf(node) !== 0;
  if (!overlay.indexesAll || !isNamedBelow || overlay.connected.has(node)) return undefined;
  // What is on the upper layer and in no index is named there.
  if (nodes.hasUpper(node) && !isIndexed(overlay, node)) return undefined;
  const own = layerOf(overlay, node);
  let next = node;
  for (;;) {
    const parent = nodes.parentOf(next);
    if (connectableLayer(overlay, parent) < own) {
      const failed = nodes.hasUpper(next) ? undefined : copyUp(overlay, next);
      if (failed !== undefined) return failed;
      break;
    }
    // The root is met from each layer.
    if (parent === ROOT_NODE || overlay.connected.has(parent) || isIndexed(overlay, parent)) break;
    next = parent;
  }
  overlay.connected.add(node);
  return undefined;
}

/** The lowest layer from which a directory can be met: 0 for the upper one alone. */
function connectableLayer(overlay: Overlay, node: Node): number {
  if (node === ROOT_NODE) return overlay.lowers.length;
  return overlay.nodes.hasUpper(node) && !isIndexed(overlay, node) ? 0 : layerOf(overlay, node);
}

/** The topmost lower layer of a directory, from 1 on. */
function layerOf({ nodes, view }: Overlay, node: Node): number {
  return view.layerOf(nodes.lowerOf(node)) + 1;
}

function isIndexed(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  return nodes.hasUpper(node) && nodes.lowerOf(node) !== 0 && hasIndexEntry(overlay, nodes.lowerOf(node));
}
