/**
 * Under which name each open file of a union was opened: the kernel's open file keeps its dentry, so that a call on a descriptor which copies the
 * file up means that name, wherever it has been moved since, and none when it is gone (fs/overlayfs/copy_up.c, ovl_copy_up_one; fs/aufs/file.c).
 */
import type { Name } from "../core/names.ts";
import type { FileHandle } from "../vfs/filesystem.ts";
import { NO_NODE, type Node } from "./nodes.ts";

/** One of a node's names: in `directory`, or in NO_NODE when it is gone. */
export interface NameOfNode {
  readonly node: Node;
  readonly directory: Node;
  readonly name: Name;
}

interface OpenedName extends NameOfNode {
  directory: Node;
  name: Name;
}

export class OpenedNames {
  readonly #names = new Map<FileHandle, OpenedName>();
  /** The same by node, so that a name that goes or moves asks only the files of its node. */
  readonly #ofNode = new Map<Node, Set<OpenedName>>();

  /** How many files a name is kept for. */
  get size(): number {
    return this.#names.size;
  }

  /** Keeps the name by which a file was opened. */
  note(file: FileHandle, { node, directory, name }: NameOfNode): void {
    const opened = { node, directory, name };
    this.#names.set(file, opened);
    const others = this.#ofNode.get(node);
    if (others === undefined) this.#ofNode.set(node, new Set([opened]));
    else others.add(opened);
  }

  /** What that name is now; undefined where none was kept. */
  of(file: FileHandle): NameOfNode | undefined {
    return this.#names.get(file);
  }

  /** The file is closed. */
  drop(file: FileHandle): void {
    const opened = this.#names.get(file);
    if (opened === undefined) return;
    this.#names.delete(file);
    const ofNode = this.#ofNode.get(opened.node);
    ofNode?.delete(opened);
    if (ofNode?.size === 0) this.#ofNode.delete(opened.node);
  }

  /** A name of a node is gone. */
  forget(gone: NameOfNode): void {
    if (this.#names.size > 0) this.move(gone, { directory: NO_NODE, name: gone.name });
  }

  /** A name of a node is another one from now on. */
  move({ node, directory, name }: NameOfNode, to: Omit<NameOfNode, "node">): void {
    if (this.#names.size === 0) return;
    for (const opened of this.#ofNode.get(node) ?? []) {
      if (opened.directory !== directory || opened.name !== name) continue;
      opened.directory = to.directory;
      opened.name = to.name;
    }
  }
}
