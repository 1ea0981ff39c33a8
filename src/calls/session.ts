/**
 * A process that makes the calls of one tree: its descriptors by name, the inodes and devices it has seen, the times it remembers.
 *
 * Interface: one session a tree. With `keepsSeen` every inode that a stat shows is held open from then on, so that no inode number comes
 * back for another file while the session lives (as the recorder of the traces does); what is unlinked then keeps its space, too.
 */
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { type Attributes, newAttributes } from "../../sim/vfs/filesystem.ts";
import type { OpenFile } from "../../sim/vfs/open-file.ts";
import type { Task } from "../../sim/vfs/task.ts";

/** How a session's stat names what it shows: the first inode is 1, the next 2 …; devices likewise. */
export interface Identity {
  readonly ino: number;
  readonly dev: number;
}

export interface SessionOptions {
  /** Default false: only descriptors hold inodes, as in any process. */
  readonly keepsSeen?: boolean;
}

export class CallSession {
  /** The process itself, as root. */
  readonly task: Task;
  /** Descriptors by the names that steps give them. A name goes when it is closed. */
  readonly descriptors: Map<string, number> = new Map();
  /** Watches by the names that steps give them: what they were told and nobody has asked for, and what ends them. */
  readonly watches: Map<string, { readonly told: string[]; readonly end: () => void }> = new Map();
  /** What each key of a `times` step saw last, in nanoseconds. */
  readonly seenTimes: Map<string, bigint> = new Map();
  /** Filled again by each call that needs one. */
  readonly attributes: Attributes = newAttributes();
  readonly #inodes = new Map<number, Map<number, number>>();
  readonly #devices = new Map<number, number>();
  readonly #others = new Map<string, Task>();
  readonly #held: OpenFile[] = [];
  readonly #keepsSeen: boolean;
  #inodeCount = 0;

  constructor(task: Task, { keepsSeen = false }: SessionOptions = {}) {
    this.task = task;
    this.#keepsSeen = keepsSeen;
  }

  /** The process with somebody's ids, of root without some capabilities; one task for each, all with the same descriptors. */
  taskAs(uid: number, gid: number, groups: readonly number[], without = 0): Task {
    const key = `${uid}:${gid}:${groups.join()}:${without}`;
    const known = this.#others.get(key);
    if (known !== undefined) return known;
    const made = this.task.withCredentials(credentialsOf(uid, gid, groups, without));
    this.#others.set(key, made);
    return made;
  }

  /** Keeps what an open descriptor stands for, as dup(2) would. */
  holdFile(fd: number): void {
    const file = this.task.files.get(fd);
    if (file === undefined) return;
    file.mount.fs.hold(file.inode);
    this.#held.push(file);
  }

  /** The names of an inode and its device; at its first sight `hold` is called to keep it, where the session keeps what it sees. */
  identify(of: Attributes, hold: () => void): Identity {
    let onDevice = this.#inodes.get(of.device);
    if (onDevice === undefined) {
      onDevice = new Map();
      this.#inodes.set(of.device, onDevice);
    }
    let ino = onDevice.get(of.inodeNumber);
    if (ino === undefined) {
      ino = ++this.#inodeCount;
      onDevice.set(of.inodeNumber, ino);
      if (this.#keepsSeen) hold();
    }
    let dev = this.#devices.get(of.device);
    if (dev === undefined) {
      dev = this.#devices.size + 1;
      this.#devices.set(of.device, dev);
    }
    return { ino, dev };
  }

  /** Ends the process: everything it holds is let go. */
  end(): void {
    for (const other of this.#others.values()) other.exit(false);
    this.#others.clear();
    for (const file of this.#held) file.mount.fs.drop(file.inode);
    this.#held.length = 0;
    for (const { end } of this.watches.values()) end();
    this.watches.clear();
    this.task.exit();
  }
}
