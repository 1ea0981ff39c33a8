/**
 * Under which name an indexed file was opened: the kernel's open file keeps its dentry, so that a call on a descriptor which copies the file up
 * links the copy to that name, wherever it has been moved since, and to none when that name is gone (fs/overlayfs/copy_up.c, ovl_copy_up_one;
 * recorded with index=on on 6.18).
 */
import type { FileHandle } from "../../vfs/filesystem.ts";
import { NO_NODE, type Node } from "../nodes.ts";
import type { NameOfNode, OpenedName } from "../open-files.ts";
import type { Overlay } from "./state.ts";

function isAt(opened: OpenedName, { node, directory, name }: NameOfNode): boolean {
  return opened.node === node && opened.directory === directory && opened.name === name;
}

/** Keeps the name under which a node was walked to. */
export function noteOpened(overlay: Overlay, file: FileHandle, node: Node): void {
  const { nodes } = overlay;
  overlay.openedAs.set(file, { node, directory: nodes.parentOf(node), name: nodes.nameOf(node) });
}

/** Makes the name under which a file was opened the one that its node was met by last. */
export function seeAsOpened(overlay: Overlay, file: FileHandle): void {
  const opened = overlay.openedAs.get(file);
  if (opened !== undefined) overlay.nodes.seeAs(opened.node, opened.directory, opened.name);
}

/** A name of a node is gone. */
export function forgetName(overlay: Overlay, gone: NameOfNode): void {
  moveName(overlay, gone, { directory: NO_NODE, name: gone.name });
}

/** A name of a node is another one from now on. */
export function moveName(overlay: Overlay, from: NameOfNode, to: Omit<NameOfNode, "node">): void {
  for (const opened of overlay.openedAs.values()) {
    if (!isAt(opened, from)) continue;
    opened.directory = to.directory;
    opened.name = to.name;
  }
}

/** Two names change places. */
export function exchangeNames(overlay: Overlay, one: NameOfNode, other: NameOfNode): void {
  const changed: OpenedName[] = [...overlay.openedAs.values()].filter((opened) => isAt(opened, one));
  moveName(overlay, other, one);
  for (const opened of changed) {
    opened.directory = other.directory;
    opened.name = other.name;
  }
}
