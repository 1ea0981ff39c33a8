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
  isStale: boolean;
  /** The names of other open files of its node. */
  next: OpenedName | undefined;
  previous: OpenedName | undefined;
}

export class OpenedNames {
  readonly #names = new Map<FileHandle, OpenedName>();
  /** The newest of each node, so that a name that goes or moves asks only the files of its node. */
  readonly #ofNode = new Map<Node, OpenedName>();

  /** Keeps the name by which a file was opened. */
  note(file: FileHandle, { node, directory, name }: NameOfNode): void {
    const next = this.#ofNode.get(node);
    const opened: OpenedName = { node, directory, name, next, previous: undefined, isStale: false };
    if (next !== undefined) next.previous = opened;
    this.#names.set(file, opened);
    this.#ofNode.set(node, opened);
  }

  /** What that name is now; undefined where none was kept. */
  of(file: FileHandle): NameOfNode | undefined {
    return this.#names.get(file);
  }

  /** Whether a walk to that name by the file itself fails since (`markStale`). */
  isStale(file: FileHandle): boolean {
    return this.#names.get(file)?.isStale === true;
  }

  /** The file is closed. */
  drop(file: FileHandle): void {
    const opened = this.#names.get(file);
    if (opened === undefined) return;
    this.#names.delete(file);
    const { node, next, previous } = opened;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else if (next !== undefined) this.#ofNode.set(node, next);
    else this.#ofNode.delete(node);
  }

  /** A name of a node is gone. */
  forget(gone: NameOfNode): void {
    this.move(gone, { directory: NO_NODE, name: gone.name });
  }

  /** A name of a node is another one from now on. */
  move(of: NameOfNode, to: Omit<NameOfNode, "node">): void {
    for (const opened of this.#openedAs(of)) {
      opened.directory = to.directory;
      opened.name = to.name;
    }
  }

  /** The dentries of the files that are open by a name are of no use to a walk from now on. */
  markStale(of: NameOfNode): void {
    for (const opened of this.#openedAs(of)) opened.isStale = true;
  }

  /** Those of a node's open files that were opened by this name. */
  #openedAs({ node, directory, name }: NameOfNode): OpenedName[] {
    const found: OpenedName[] = [];
    for (let opened = this.#ofNode.get(node); opened !== undefined; opened = opened.next) {
      if (opened.directory === directory && opened.name === name) found.push(opened);
    }
    return found;
  }
}
