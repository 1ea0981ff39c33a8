/**
 * The invariants of an aufs mount: what its nodes and entries say is what its branches hold.
 */
import { assert } from "../../core/assert.ts";
import { isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ABSENT, OPAQUE, WHITEOUT } from "../layer.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_OPAQUE, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { UPPER_BRANCH } from "./rules.ts";
import type { Aufs } from "./state.ts";

/** Throws an InvariantError unless every entry and every node agrees with the branches. */
export function checkAufs(aufs: Aufs): void {
  const { nodes } = aufs;
  nodes.dentries.check();
  const entries = new Map<Node, number>();
  for (let directory = ROOT_NODE; directory < nodes.end; directory++) {
    for (let row = nodes.dentries.first(directory); row !== 0; row = nodes.dentries.next(row)) {
      const child = nodes.dentries.child(row);
      checkEntry(aufs, directory, nodes.dentries.name(row), child);
      if (child < WHITEOUT_ENTRY) entries.set(child, (entries.get(child) ?? 0) + 1);
    }
  }
  for (const [node, count] of entries) checkNode(aufs, node, count);
  for (const node of aufs.linkCounts.keys()) assert(nodes.hasUpper(node), `node ${node} counts links without an upper inode`);
}

/** An entry is what the writable branch has at its name, or else what the view below has. */
function checkEntry(aufs: Aufs, directory: Node, name: Name, child: number): void {
  const { nodes, upper } = aufs;
  const where = `${aufs.pathOf(directory)} ${aufs.names.text(name)}`;
  const found =
    upper !== undefined && nodes.hasUpper(directory)
      ? aufs.rules.probe(upper.fs, nodes.upperOf(directory), name, UPPER_BRANCH)
      : ABSENT;
  assert(!isErrno(found), `${where}: the writable branch fails`);
  assert((found === WHITEOUT) === (child === WHITEOUT_ENTRY), `${where}: the whiteout is not what the entry says`);
  if (child === WHITEOUT_ENTRY) return;
  const isBelowStill = child < WHITEOUT_ENTRY && found === ABSENT && nodes.has(child, IS_PSEUDO_LINKED);
  if (child < WHITEOUT_ENTRY && nodes.hasUpper(child) && !isBelowStill) {
    assert(found === nodes.upperOf(child), `${where}: the writable branch has ${found}, the node ${nodes.upperOf(child)}`);
    return;
  }
  assert(found === ABSENT, `${where}: an entry ${found} of the writable branch is not seen`);
  assert(aufs.lowerHas(directory, name) === child < WHITEOUT_ENTRY, `${where}: the entry is not what lies below`);
}

function checkNode(aufs: Aufs, node: Node, count: number): void {
  const { nodes, upper } = aufs;
  const where = aufs.pathOf(node);
  assert(nodes.entriesOf(node) === count, `${where}: ${nodes.entriesOf(node)} entries are counted, ${count} found`);
  assert(nodes.hasUpper(node) || nodes.lowerOf(node) !== 0, `${where}: the node is on no branch`);
  const isDirectory = (aufs.fsOf(node).mode(aufs.inodeOf(node)) & S_IFMT) === S_IFDIR;
  assert(isDirectory === nodes.has(node, IS_DIRECTORY), `${where}: the node's kind is not its inode's`);
  assert(!isDirectory || count === 1, `${where}: a directory with ${count} names`);
  assert(!nodes.has(node, HOLDS_UPPER) || nodes.hasUpper(node), `${where}: holds an upper inode that it has not`);
  assert(!nodes.has(node, IS_PSEUDO_LINKED) || aufs.linkCounts.has(node), `${where}: pseudo-linked without a count of links`);
  if (!isDirectory || upper === undefined || !nodes.hasUpper(node)) return;
  const marks = aufs.rules.marksOf(upper.fs, nodes.upperOf(node), UPPER_BRANCH);
  assert(
    ((marks & OPAQUE) !== 0) === nodes.has(node, IS_OPAQUE),
    `${where}: the mark of an opaque directory is not what the node says`,
  );
  assert(!nodes.has(node, IS_OPAQUE) || nodes.lowerOf(node) === 0, `${where}: an opaque directory shows what lies below`);
}
