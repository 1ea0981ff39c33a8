/**
 * The invariants of an overlayfs mount: what its nodes and entries say is what its layers hold.
 */
import { assert } from "../../core/assert.ts";
import { isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFMT } from "../../vfs/filesystem.ts";
import { ABSENT, WHITEOUT } from "../layer.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_INDEXED, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { isDirectoryMode } from "./rules.ts";
import type { Overlay } from "./state.ts";

/** Throws an InvariantError unless every entry and every node agrees with the layers. */
export function checkOverlay(overlay: Overlay): void {
  const { nodes } = overlay;
  nodes.dentries.check();
  const entries = new Map<Node, number>();
  for (let directory = ROOT_NODE; directory < nodes.end; directory++) {
    for (const { name, child } of nodes.dentries.entries(directory)) {
      checkEntry(overlay, directory, name, child);
      if (child < WHITEOUT_ENTRY) entries.set(child, (entries.get(child) ?? 0) + 1);
    }
  }
  for (const [node, count] of entries) checkNode(overlay, node, count);
}

/** An entry is what the upper layer has at its name, or else what the view below has. */
function checkEntry(overlay: Overlay, directory: Node, name: Name, child: number): void {
  const { nodes } = overlay;
  const where = `${overlay.pathOf(directory)} ${overlay.names.text(name)}`;
  const found = nodes.hasUpper(directory) ? overlay.rules.probe(overlay.writable.fs, nodes.upperOf(directory), name) : ABSENT;
  assert(!isErrno(found), `${where}: the upper layer fails`);
  const isBelowStill = child < WHITEOUT_ENTRY && nodes.has(child, IS_INDEXED) && found === ABSENT;
  if (child < WHITEOUT_ENTRY && nodes.hasUpper(child) && !isBelowStill) {
    if (overlay.replaced.has(child)) return;
    assert(found === nodes.upperOf(child), `${where}: the upper layer has ${found}, the node ${nodes.upperOf(child)}`);
    return;
  }
  if (child >= WHITEOUT_ENTRY && overlay.unseen.has(found as Inode)) return;
  assert(found === ABSENT || (found === WHITEOUT && child === WHITEOUT_ENTRY), `${where}: an upper entry ${found} is not seen`);
  assert((found === WHITEOUT) === (child === WHITEOUT_ENTRY), `${where}: the whiteout is not what the entry says`);
  if (child === WHITEOUT_ENTRY) return;
  assert(
    overlay.lowerHas(directory, name) === child < WHITEOUT_ENTRY,
    `${where}: a negative entry hides what lies below, or the reverse`,
  );
}

function checkNode(overlay: Overlay, node: Node, count: number): void {
  const { nodes } = overlay;
  const where = overlay.pathOf(node);
  assert(nodes.entriesOf(node) === count, `${where}: ${nodes.entriesOf(node)} entries are counted, ${count} found`);
  assert(nodes.hasUpper(node) || nodes.lowerOf(node) !== 0, `${where}: the node is on no layer`);
  const mode = overlay.fsOf(node).mode(overlay.inodeOf(node));
  const isDirectory = isDirectoryMode(mode);
  assert(nodes.typeOf(node) === (mode & S_IFMT), `${where}: the node's type is not its inode's`);
  assert(
    nodes.hasUpper(node) || overlay.inodeOf(node) === overlay.view.inodeOf(nodes.lowerOf(node)),
    `${where}: the node shows another inode than the view below`,
  );
  assert(isDirectory === nodes.has(node, IS_DIRECTORY), `${where}: the node's kind is not its inode's`);
  assert(!isDirectory || count === 1, `${where}: a directory with ${count} names`);
  assert(!nodes.has(node, HOLDS_UPPER) || nodes.hasUpper(node), `${where}: holds an upper inode that it has not`);
}
