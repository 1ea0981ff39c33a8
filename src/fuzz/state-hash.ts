/**
 * A number for what a tree shows, so that distinct states can be counted.
 */
import type { ModelNode } from "./model/node.ts";
import type { ModelTree } from "./model/tree.ts";

/** A hash of what a tree shows: names, types, modes, links, the order of sizes, and whether each is of a lower layer. */
export function stateOf(tree: ModelTree): number {
  return hashOf({ tree, names: [] }, tree.root, 0x811c9dc5) >>> 0;
}

function mixed(hash: number, value: number): number {
  const next = Math.imul(hash ^ value, 0x01000193);
  return next ^ (next >>> 15);
}

/** A walk: through what, and the names of the directories on the way down, those of each in order. A tree is looked at thousands of times. */
interface Walk {
  readonly tree: ModelTree;
  readonly names: string[];
}

function hashOf(walk: Walk, node: ModelNode, before: number): number {
  let hash = mixed(before, node.type.length * 8192 + node.mode);
  hash = mixed(hash, node.links * 64 + (32 - Math.clz32(node.size)) * 2 + (walk.tree.isLower(node) ? 1 : 0));
  const { entries } = node;
  if (entries === undefined) return hash;
  const { names } = walk;
  const from = names.length;
  for (const name of entries.keys()) insertName(names, name, from);
  for (let at = from; at < from + entries.size; at++) {
    const name = names[at] as string;
    hash = hashOf(walk, entries.get(name) as ModelNode, mixed(hash, name.charCodeAt(0)));
  }
  names.length = from;
  return mixed(hash, 0x2f);
}

/** Puts a name where it belongs among those from a place on, which are in order. A directory has few. */
function insertName(names: string[], name: string, from: number): void {
  let at = names.length;
  names.push(name);
  for (; at > from && (names[at - 1] as string) > name; at--) names[at] = names[at - 1] as string;
  names[at] = name;
}
