/**
 * An open file description (kernel: struct file): what a descriptor stands for. Position and flags are its own; two opens of one
 * file are two of these.
 */
import type { FileHandle, Inode } from "./filesystem.ts";
import type { Mount } from "./mount.ts";

export class OpenFile {
  readonly mount: Mount;
  readonly inode: Inode;
  /** The filesystem's handle; of an O_PATH file, which the filesystem never opened, the inode's own number. */
  readonly handle: FileHandle;
  /** Type and permission bits at the time of open: the type never changes. */
  readonly type: number;
  /** O_* flags. */
  readonly flags: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Where the next read or write begins, in bytes. */
  position = 0;

  constructor(mount: Mount, inode: Inode, opened: { handle: FileHandle; type: number; flags: number; access: number }) {
    this.mount = mount;
    this.inode = inode;
    this.handle = opened.handle;
    this.type = opened.type;
    this.flags = opened.flags;
    this.readable = (opened.access & 1) !== 0;
    this.writable = (opened.access & 2) !== 0;
  }
}
