/**
 * The extended attributes of a tmpfs, whose bytes count against the space for inodes.
 */
import { ENOSPC, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import { utf8Length } from "../core/names.ts";
import { XattrStore } from "../vfs/xattr-store.ts";
import type { TmpfsSpace } from "./tmpfs-space.ts";

export class TmpfsXattrs {
  readonly #store = new XattrStore();
  readonly #space: TmpfsSpace;

  constructor(space: TmpfsSpace) {
    this.#space = space;
  }

  /** @returns ENODATA; ENOTSUP for a namespace that tmpfs does not keep. */
  get(inode: number, name: string): Uint8Array | Errno {
    return isKept(name) ? this.#store.get(inode, name) : ENOTSUP;
  }

  /** @returns EEXIST and ENODATA by the flags, ENOSPC, ENOTSUP. */
  set(inode: number, name: string, value: Uint8Array, flags: number): Errno | undefined {
    if (!isKept(name)) return ENOTSUP;
    const refused = this.#store.refusal(inode, name, flags);
    if (refused !== undefined) return refused;
    const length = utf8Length(name);
    if (!this.#space.takeXattr(length, value.length)) return ENOSPC;
    const before = this.#store.get(inode, name);
    if (!isErrno(before)) this.#space.giveXattr(length, before.length);
    this.#store.set(inode, name, value);
    return undefined;
  }

  /** @returns ENODATA, ENOTSUP. */
  remove(inode: number, name: string): Errno | undefined {
    const before = this.get(inode, name);
    if (isErrno(before)) return before;
    this.#store.remove(inode, name);
    this.#space.giveXattr(utf8Length(name), before.length);
    return undefined;
  }

  /** An inode is freed: its attributes give their space back. */
  removeAll(inode: number): void {
    this.#store.visit(inode, (name, value) => this.#space.giveXattr(utf8Length(name), value.length));
    this.#store.removeAll(inode);
  }

  /** The names in the order of their bytes. */
  names(inode: number): string[] {
    return this.#store.names(inode);
  }
}

/** The namespaces that tmpfs keeps; user.* since Linux 6.6. */
function isKept(name: string): boolean {
  return name.startsWith("user.") || name.startsWith("trusted.") || name.startsWith("security.");
}
