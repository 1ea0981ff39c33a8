/**
 * An open file description (kernel: struct file) and the table of a task's descriptors (struct files_struct). Position and flags are
 * the description's own; two opens of one file are two of these.
 */
import { EBADF, type Errno, isErrno } from "../core/errno.ts";
import type { Credentials } from "./credentials.ts";
import { accessOf, type FileHandle, type FileSystem, type Inode, O_PATH, READS, WRITES } from "./filesystem.ts";
import type { Mount } from "./mount.ts";
import type { Dentry } from "./watches.ts";

export interface OpenFile {
  readonly mount: Mount;
  readonly inode: Inode;
  /** The filesystem's handle; not to be used of one that it did not open (`held`), but for its name where the filesystem keeps that (`openHeld`). */
  readonly handle: FileHandle;
  /** Type bits of its mode. */
  readonly type: number;
  /** O_* flags. */
  readonly flags: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Whether the filesystem was not asked to open it: O_PATH, and what is no file, directory or link. */
  readonly held: boolean;
  /** Whether O_TMPFILE without O_EXCL made it and it has had no name yet: it may be given one (I_LINKABLE). */
  linkable: boolean;
  /** Who opened it (f_cred). */
  readonly credentials: Credentials;
  /** Where the next read or write begins, in bytes. */
  position: number;
  /** The name it was opened by; kept while there are watches, which are told it. */
  readonly dentry: Dentry | undefined;
  /** The state of file capabilities (`Vfs.capabilityChanges`) at which a write through it last found none to remove. */
  checkedCapabilities: number;
}

/** What is opened: by whom, where, and as what. */
type Opened = Pick<OpenFile, "credentials" | "mount" | "inode" | "handle" | "type" | "flags" | "held" | "linkable" | "dentry">;

export function newOpenFile({ credentials, mount, inode, handle, type, flags, held, linkable, dentry }: Opened): OpenFile {
  const access = (flags & O_PATH) !== 0 ? 0 : accessOf(flags);
  return {
    mount,
    inode,
    handle,
    type,
    flags,
    readable: (access & READS) !== 0,
    writable: (access & WRITES) !== 0,
    held,
    linkable,
    credentials,
    position: 0,
    dentry,
    checkedCapabilities: -1,
  };
}

/** What follows means a file by the name that was opened. */
export function meanOpenedName({ mount: { fs }, handle, held }: OpenFile): void {
  if (!held || fs.openHeld !== undefined) fs.byDescriptor?.(handle);
}

/** What a walk that ends with a file says of its name (complete_walk). */
export function lostName({ mount: { fs }, handle, held }: OpenFile): Errno | undefined {
  return held && fs.openHeld === undefined ? undefined : fs.weakRevalidate?.(handle);
}

export class FileTable {
  readonly #files: (OpenFile | undefined)[] = [];
  /** No descriptor below is free. */
  #lowest = 0;

  /** Gives a file the lowest free descriptor. */
  add(file: OpenFile): number {
    let fd = this.#lowest;
    while (fd < this.#files.length && this.#files[fd] !== undefined) fd++;
    if (fd === this.#files.length) this.#files.push(file);
    else this.#files[fd] = file;
    this.#lowest = fd + 1;
    return fd;
  }

  /** The file of a descriptor, O_PATH ones too. */
  get(fd: number): OpenFile | undefined {
    return this.#files[fd];
  }

  /** The file of a descriptor. @returns EBADF for one that is not open, or open for O_PATH only. */
  file(fd: number): OpenFile | Errno {
    const file = this.#files[fd];
    return file === undefined || (file.flags & O_PATH) !== 0 ? EBADF : file;
  }

  /** The same, for a call on the file's inode, which it means by the name that was opened. */
  named(fd: number): OpenFile | Errno {
    const file = this.file(fd);
    if (!isErrno(file)) meanOpenedName(file);
    return file;
  }

  /** Frees a descriptor. @returns what it stood for. */
  remove(fd: number): OpenFile | undefined {
    const file = this.#files[fd];
    if (file === undefined) return undefined;
    this.#files[fd] = undefined;
    if (fd < this.#lowest) this.#lowest = fd;
    return file;
  }

  /** Those that are open. */
  open(): OpenFile[] {
    return this.#files.filter((file) => file !== undefined);
  }

  /** Whether one of them is open for writing to an inode; without one, to any of the filesystem. */
  isWriting(fs: FileSystem, inode?: Inode): boolean {
    return this.#files.some(
      (file) => file?.writable === true && (inode === undefined || file.inode === inode) && file.mount.fs === fs,
    );
  }

  /** The descriptors in use, ascending. */
  descriptors(): number[] {
    return [...this.#files.keys()].filter((fd) => this.#files[fd] !== undefined);
  }
}
