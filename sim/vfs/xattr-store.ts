/**
 * Extended attributes of the few inodes that have any, in memory (fs/xattr.c: simple_xattrs).
 */
import { EEXIST, ENODATA, type Errno } from "../core/errno.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "./filesystem.ts";

export class XattrStore {
  readonly #values = new Map<number, Map<string, Uint8Array>>();

  /** @returns ENODATA when there is none. */
  get(inode: number, name: string): Uint8Array | Errno {
    return this.#values.get(inode)?.get(name) ?? ENODATA;
  }

  /** Why the flags of setxattr forbid to set it: EEXIST, ENODATA. */
  refusal(inode: number, name: string, flags: number): Errno | undefined {
    const known = this.#values.get(inode)?.has(name) === true;
    if (known && (flags & XATTR_CREATE) !== 0) return EEXIST;
    return !known && (flags & XATTR_REPLACE) !== 0 ? ENODATA : undefined;
  }

  set(inode: number, name: string, value: Uint8Array): void {
    const known = this.#values.get(inode);
    if (known === undefined) this.#values.set(inode, new Map([[name, value.slice()]]));
    else known.set(name, value.slice());
  }

  remove(inode: number, name: string): void {
    const known = this.#values.get(inode);
    known?.delete(name);
    if (known?.size === 0) this.#values.delete(inode);
  }

  removeAll(inode: number): void {
    this.#values.delete(inode);
  }

  /** The names in the order of their bytes. */
  names(inode: number): string[] {
    return [...(this.#values.get(inode)?.keys() ?? [])].sort();
  }

  visit(inode: number, visit: (name: string, value: Uint8Array) => void): void {
    for (const [name, value] of this.#values.get(inode) ?? []) visit(name, value);
  }
}
