/**
 * The inodes of a tmpfs as rows of typed columns, about 60 bytes an inode.
 *
 * Interface: a row is the inode's handle, from 1 on; a freed one is used again, with a new st_ino. An inode is freed when it has neither
 * names nor holders; whoever takes the last away asks `unused`.
 */
import type { Time } from "../core/clock.ts";
import { roomFor } from "../core/growth.ts";
import type { CachedMapping } from "../vfs/mapping.ts";

/** What an inode holds: a file's pages, a link's target; nothing for the rest and for a file without pages. */
export type InodeData = CachedMapping | string | undefined;

/** A longer target of a symbolic link takes a page (SHORT_SYMLINK_LEN, with its NUL); in bytes. */
export const SHORT_TARGET = 127;

const FIRST_ROWS = 64;

function grown<T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(column: T, larger: T): T {
  larger.set(column);
  return larger;
}

export class TmpfsInodes {
  mode: Uint16Array = new Uint16Array(FIRST_ROWS);
  uid: Uint32Array = new Uint32Array(FIRST_ROWS);
  gid: Uint32Array = new Uint32Array(FIRST_ROWS);
  nlink: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** Bytes of a file, length of a link's target; a directory's is counted from its entries. */
  size: Float64Array = new Float64Array(FIRST_ROWS);
  /** st_ino. */
  number: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** Open files, tasks that stand there, and others that keep it alive. */
  holders: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** Of a directory: the one above. Of a device node: its number. */
  extra: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** 1 where somebody was told the times since the inode's last change (I_CTIME_QUERIED). */
  asked: Uint8Array = new Uint8Array(FIRST_ROWS);
  readonly atime: Time[] = [];
  readonly mtime: Time[] = [];
  readonly ctime: Time[] = [];
  readonly data: InodeData[] = [];
  #free: number[] = [];
  #nextNumber = 1;
  #used = 0;

  constructor(never: Time) {
    // Row 0 is no inode.
    this.atime.push(never);
    this.mtime.push(never);
    this.ctime.push(never);
    this.data.push(undefined);
  }

  /** How many inodes there are. */
  get count(): number {
    return this.#used;
  }

  /** Rows that were ever used, row 0 included. */
  get end(): number {
    return this.data.length;
  }

  /** A new inode with no names. */
  add(init: { mode: number; uid: number; gid: number; now: Time; data: InodeData }): number {
    let row = this.#free.pop() ?? 0;
    if (row === 0) {
      row = this.data.length;
      if (row === this.mode.length) this.#grow();
      this.atime.push(init.now);
      this.mtime.push(init.now);
      this.ctime.push(init.now);
      this.data.push(init.data);
    } else {
      this.atime[row] = init.now;
      this.mtime[row] = init.now;
      this.ctime[row] = init.now;
      this.data[row] = init.data;
    }
    this.mode[row] = init.mode;
    this.uid[row] = init.uid;
    this.gid[row] = init.gid;
    this.nlink[row] = 0;
    this.size[row] = 0;
    this.holders[row] = 0;
    this.extra[row] = 0;
    this.asked[row] = 0;
    this.number[row] = this.#nextNumber++;
    this.#used += 1;
    return row;
  }

  /** Whether nobody has the inode any more. */
  unused(row: number): boolean {
    return this.nlink[row] === 0 && this.holders[row] === 0;
  }

  remove(row: number): void {
    this.number[row] = 0;
    this.data[row] = undefined;
    this.#free.push(row);
    this.#used -= 1;
  }

  #grow(): void {
    const length = roomFor(this.mode.length);
    this.mode = grown(this.mode, new Uint16Array(length));
    this.uid = grown(this.uid, new Uint32Array(length));
    this.gid = grown(this.gid, new Uint32Array(length));
    this.nlink = grown(this.nlink, new Uint32Array(length));
    this.size = grown(this.size, new Float64Array(length));
    this.number = grown(this.number, new Uint32Array(length));
    this.holders = grown(this.holders, new Uint32Array(length));
    this.extra = grown(this.extra, new Uint32Array(length));
    this.asked = grown(this.asked, new Uint8Array(length));
  }
}
