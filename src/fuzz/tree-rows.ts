/**
 * The plain tree as the call `tree` shows it.
 */
import type { Json } from "../calls/json.ts";
import { compareTexts, modeText } from "../calls/show.ts";
import type { CallResult } from "../calls/step.ts";
import type { ModelNode } from "./model/node.ts";
import type { ModelTree } from "./model/tree.ts";
import { shownBytes } from "./shown-bytes.ts";

/** Every row of a tree; undefined where one of them says nothing. */
export function treeRows(tree: ModelTree): CallResult | undefined {
  const rows: (readonly [string, ...Json[]])[] = [];
  if (!addRows(tree.root, "", rows)) return undefined;
  return { value: rows.sort(([one], [other]) => compareTexts(one, other)) };
}

/** @returns whether every row is known. */
function addRows(directory: ModelNode, path: string, rows: (readonly [string, ...Json[]])[]): boolean {
  for (const [name, node] of directory.entries ?? []) {
    const at = `${path}/${name}`;
    if (node.countless) return false;
    const content =
      node.type === "file" ? shownBytes(node.data.subarray(0, node.size)) : node.type === "symlink" ? node.target : null;
    const user = [...(node.xattrs ?? [])].filter(([key]) => key.startsWith("user."));
    const links = node.type === "dir" ? null : node.links;
    rows.push([at, node.type, modeText(node.mode), node.uid, node.gid, links, content, Object.fromEntries(user)]);
    if (node.entries !== undefined && !addRows(node, at, rows)) return false;
  }
  return true;
}
