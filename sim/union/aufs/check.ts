/**
 * The invariants of an aufs mount: what its nodes and entries say is what its branches hold.
 */
import { assert } from "../../core/assert.ts";
import type { Name } from "../../core/names.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_OPAQUE, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { newFound } from "./found.ts";
import { branchOfName } from "./lookup.ts";
import { search } from "./search.ts";
import type { Aufs } from "./state.ts";

/** Throws an InvariantError unless every entry and every node agrees with the branches. */
export function checkAufs(aufs: Aufs): void {
  const { nodes } = aufs;
  nodes.dentries.check();
  const entries = new Map<Node, number>();
  for (let directory = ROOT_NODE; directory < nodes.end; directory++) {
    for (const { name, child } of nodes.dentries.entries(directory)) {
      checkEntry(aufs, directory, name, child);
      if (child < WHITEOUT_ENTRY) entries.set(child, (entries.get(child) ?? 0) + 1);
    }
  }
  for (const [node, count] of entries) checkNode(aufs, node, count);
  for (const node of aufs.linkCounts.keys()) assert(nodes.hasUpper(node), `node ${node} counts links without an upper inode`);
}

/** An entry is what the branches have at its name. */
function checkEntry(aufs: Aufs, directory: Node, name: Name, child: Node): void {
  const { nodes } = aufs;
  // What is changed beside the mount may be seen later, or never.
  if (aufs.options.udba !== undefined) return;
  const where = `${aufs.pathOf(directory)} ${aufs.names.text(name)}`;
  const found = newFound();
  assert(search(aufs, directory, name, found) === undefined, `${where}: a branch fails`);
  assert(found.isWhited === (child === WHITEOUT_ENTRY), `${where}: the whiteout is not what the entry says`);
  const isThere = found.branch >= 0 || found.lower !== 0;
  assert(isThere === child < WHITEOUT_ENTRY, `${where}: the entry is not what the branches have`);
  if (!isThere) return;
  const top = branchOfName(aufs, child, directory, name);
  assert(top === (found.branch < 0 ? aufs.uppers.length : found.branch), `${where}: the branch is ${found.branch}, not ${top}`);
  if (found.branch < 0 || top !== aufs.branchOf(child)) return;
  assert(found.inode === nodes.upperOf(child), `${where}: the branch has ${found.inode}, the node ${nodes.upperOf(child)}`);
}

function checkNode(aufs: Aufs, node: Node, count: number): void {
  const { nodes } = aufs;
  const where = aufs.pathOf(node);
  assert(nodes.entriesOf(node) === count, `${where}: ${nodes.entriesOf(node)} entries are counted, ${count} found`);
  assert(nodes.hasUpper(node) || nodes.lowerOf(node) !== 0, `${where}: the node is on no branch`);
  const isDirectory = (aufs.fsOf(node).mode(aufs.inodeOf(node)) & S_IFMT) === S_IFDIR;
  assert(isDirectory === nodes.has(node, IS_DIRECTORY), `${where}: the node's kind is not its inode's`);
  assert(!isDirectory || count === 1, `${where}: a directory with ${count} names`);
  assert(!nodes.has(node, HOLDS_UPPER) || nodes.hasUpper(node), `${where}: holds an upper inode that it has not`);
  assert(!nodes.has(node, IS_PSEUDO_LINKED) || aufs.linkCounts.has(node), `${where}: pseudo-linked without a count of links`);
  if (isDirectory) checkInstances(aufs, node);
}

/** Of a directory's instances the topmost shows it, and only the last is opaque. */
function checkInstances(aufs: Aufs, node: Node): void {
  const { nodes, uppers } = aufs;
  const where = aufs.pathOf(node);
  let top = uppers.length;
  let last = -1;
  for (const [branch, { fs, permission }] of uppers.entries()) {
    const inode = aufs.inodeOn(node, branch);
    if (inode === undefined) continue;
    assert(last < 0 || aufs.opaqueBranch(node) !== last, `${where}: an opaque directory shows what lies below`);
    top = Math.min(top, branch);
    last = branch;
    const isOpaque = permission.whiteouts && aufs.rules.isOpaque(fs, inode);
    // A mark that somebody makes or takes away beside the mount is no news to it.
    assert(
      aufs.options.udba !== undefined || isOpaque === (aufs.opaqueBranch(node) === branch),
      `${where}: the mark of an opaque directory is not what the node says`,
    );
  }
  assert(top === aufs.branchOf(node), `${where}: shown by branch ${aufs.branchOf(node)}, not by ${top}`);
  assert(!nodes.has(node, IS_OPAQUE) || nodes.lowerOf(node) === 0, `${where}: an opaque directory shows what lies below`);
}
