/**
 * What a mount keeps of its branches while they may be changed beside it: the inodes that it knows there, so that none becomes another's while it
 * is believed in, and the marks by which it hears of changes (kernel: the references of au_hdentry and au_hinode, and hi_notify).
 */
import type { FileSystem, Inode } from "../../vfs/filesystem.ts";
import type { Node } from "../nodes.ts";

interface Pin {
  readonly fs: FileSystem;
  readonly inode: Inode;
  readonly end: () => void;
}

export class BranchPins {
  readonly #pins = new Map<Node, Pin[]>();

  /** Whether an inode is kept for a node. */
  has(node: Node, fs: FileSystem, inode: Inode): boolean {
    return this.#pins.get(node)?.some((pin) => pin.inode === inode && pin.fs === fs) === true;
  }

  /** Keeps an inode for a node. @param mark - begins to listen; what it returns ends that */
  add(node: Node, { fs, inode }: { readonly fs: FileSystem; readonly inode: Inode }, mark: () => () => void): void {
    fs.hold(inode);
    const pins = this.#pins.get(node) ?? [];
    pins.push({ fs, inode, end: mark() });
    this.#pins.set(node, pins);
  }

  /** Lets go what was kept for a node. */
  release(node: Node): void {
    for (const { fs, inode, end } of this.#pins.get(node) ?? []) {
      end();
      fs.drop(inode);
    }
    this.#pins.delete(node);
  }

  releaseAll(): void {
    for (const node of [...this.#pins.keys()]) this.release(node);
  }
}
