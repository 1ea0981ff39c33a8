/**
 * The path walk: from a text to a place (fs/namei.c: link_path_walk, walk_component, pick_link).
 *
 * Interface: a task has one Walk; its fields hold the last answer, so that a walk makes no objects. One fs.lookup a component. The
 * directory that a component is looked up in must be searchable; that comes before ENAMETOOLONG and ENOENT, as in the kernel.
 */
import { EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, type Errno, isErrno } from "../core/errno.ts";
import { type Name, type NameTable, utf8Length } from "../core/names.ts";
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, type Credentials } from "./credentials.ts";
import { type Inode, S_IFDIR, S_IFLNK, typeOf, type WalkedPaths } from "./filesystem.ts";
import type { Mount, Position } from "./mount.ts";
import { PathCache } from "./path-cache.ts";
import { inodePermission, MAY_EXEC } from "./permission.ts";
import type { Dentry } from "./watches.ts";

/** The longest path in bytes with its closing NUL (include/uapi/linux/limits.h). */
const PATH_MAX = 4096;
/** How many symbolic links a walk follows (include/linux/namei.h: MAXSYMLINKS). */
const SYMBOLIC_LINKS_MAX = 40;

/** A name of so few UTF-16 units, three bytes each at most, is not too long for any filesystem. */
const SHORT_NAME = 32;
const NO_NAME = 0 as Name;
const NO_INODE = 0 as Inode;
/** What spares somebody the question whether he may search a directory. */
const SEARCHES_ALL = CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH;

/** A longer path is walked, and refused if it is too long. */
const FOLDER_PATH_MAX = 1024;

const SLASH = 47;
const DOT = 46;

/** What the last component is; only a normal one can be made or removed. */
export type LastKind = "normal" | "dot" | "dotdot" | "root";

/** @returns ENOENT for an empty path, ENAMETOOLONG for one that does not fit PATH_MAX (getname_flags). */
export function pathError(path: string): Errno | undefined {
  if (path.length === 0) return ENOENT;
  // Three bytes are the most that one UTF-16 unit becomes.
  return path.length * 3 >= PATH_MAX && utf8Length(path) >= PATH_MAX ? ENAMETOOLONG : undefined;
}

/** Where a walk begins and for whom: the task it belongs to. */
export interface Walker {
  readonly vfs: { readonly names: NameTable; readonly watches: unknown };
  readonly root: Position;
  readonly cwd: Position;
  readonly credentials: Credentials;
}

export class Walk {
  /** Where the walk ended: the object, or with `parent` the directory of the last component. */
  mount: Mount;
  inode: Inode;
  /** After `parent`: the last component. */
  name: Name = 0 as Name;
  kind: LastKind = "root";
  /** After `parent`: whether slashes follow the last component, which asks for a directory. */
  slash = false;
  /** After `parent`: whether the last component may be too long for a filesystem. */
  long = false;
  /** The directory and the name by which the last component was found, if it was a name. */
  #foundIn: Inode = NO_INODE;
  #foundAs: Name = NO_NAME;
  readonly #task: Walker;
  readonly #names: NameTable;
  #links = 0;
  /** Paths walked before, from the root `#knownFrom`. */
  readonly #known = new PathCache();
  #knownFrom: Position | undefined;
  /**
   * The path of the directory to which `parent` walked last, without a slash at its end, and that directory; NO_INODE: none that still counts. Its
   * units, as a text that is cut from another is compared more slowly.
   */
  #folder = new Uint16Array(0);
  #folderLength = 0;
  #folderInode: Inode = NO_INODE;
  #folderEpoch = 0;
  /** After `parent`: where the last component begins. */
  #lastAt = 0;
  /** Whether the walk has met neither dots nor a symbolic link so far. */
  #straight = true;
  /** After such a walk whose path ends with a name, not with a slash: the directory of that name, which is `name`; else NO_INODE. */
  #last: Inode = NO_INODE;

  constructor(task: Walker) {
    this.#task = task;
    this.#names = task.vfs.names;
    this.mount = task.root.mount;
    this.inode = task.root.inode;
  }

  /** The place where the walk ended, as an object of its own. */
  position(): Position {
    return { mount: this.mount, inode: this.inode };
  }

  /** The name by which the inode was reached; undefined of a directory, which has one, where the path ended otherwise. */
  get dentry(): Dentry | undefined {
    const { fs, root } = this.mount;
    const directory = this.#foundIn;
    if (directory === NO_INODE || this.inode === root) return undefined;
    if (typeOf(fs, this.inode) === S_IFDIR && fs.lookup(directory, this.#foundAs) !== this.inode) return undefined;
    return { directory, name: this.#names.text(this.#foundAs), gone: false };
  }

  /** Walks the whole path. @param follow - whether a symbolic link at its end is followed; slashes behind it always are. */
  to(path: string, follow: boolean): Errno | undefined {
    const walked = this.#repeatable(path);
    if (walked === undefined) return this.#walkTo(path, follow);
    const known = this.#known.find(path, walked);
    if (known === NO_INODE) {
      const lost = this.#walkTo(path, follow);
      if (lost === undefined && this.#last !== NO_INODE && walked.isAt(this.inode, this.#last, this.name)) {
        this.#known.keep(path, this.inode, { directory: this.#last, name: this.name, epoch: walked.epoch });
      }
      return lost;
    }
    this.mount = this.#task.root.mount;
    this.inode = known;
    this.kind = "root";
    this.slash = false;
    return undefined;
  }

  #walkTo(path: string, follow: boolean): Errno | undefined {
    const wrong = pathError(path);
    if (wrong !== undefined) return wrong;
    this.#begin();
    return this.#run(path, follow, false);
  }

  /**
   * What can be asked about an earlier walk of the path; undefined for one that mounts, permissions or the working directory decide too, and while
   * somebody watches, who is told by what name a file was reached.
   */
  #repeatable(path: string): WalkedPaths | undefined {
    if (path.charCodeAt(0) !== SLASH) return undefined;
    const { root, credentials, vfs } = this.#task;
    const { mount } = root;
    if (vfs.watches !== undefined || mount.covers !== undefined || (credentials.capabilities & SEARCHES_ALL) === 0)
      return undefined;
    if (root !== this.#knownFrom) {
      this.#known.clear();
      this.#folderInode = NO_INODE;
      this.#knownFrom = root;
    }
    return mount.fs.walked;
  }

  /** Walks to the directory of the last component, which is not looked up. */
  parent(path: string): Errno | undefined {
    const walked = this.#repeatable(path);
    if (walked !== undefined && this.#isIn(path, walked)) return undefined;
    const wrong = pathError(path);
    if (wrong !== undefined) return wrong;
    this.#begin();
    const lost = this.#run(path, true, true);
    if (lost !== undefined || walked === undefined || !this.#straight || this.kind !== "normal") return lost;
    this.#keepFolder(path, this.#lastAt - 1);
    this.#folderInode = this.inode;
    this.#folderEpoch = walked.epoch;
    return undefined;
  }

  #keepFolder(path: string, length: number): void {
    if (length > this.#folder.length) this.#folder = new Uint16Array(length * 2);
    for (let at = 0; at < length; at++) this.#folder[at] = path.charCodeAt(at);
    this.#folderLength = length;
  }

  /** Whether the path is a name in the directory to which `parent` walked last; stands there then, before the name. */
  #isIn(path: string, walked: WalkedPaths): boolean {
    const folder = this.#folder;
    const at = this.#folderLength + 1;
    if (path.charCodeAt(at - 1) !== SLASH || this.#folderEpoch !== walked.epoch || this.#folderInode === NO_INODE) return false;
    const first = path.charCodeAt(at);
    if (first === DOT || first === SLASH || at >= path.length || path.length > FOLDER_PATH_MAX) return false;
    // Paths that differ mostly do so near their ends.
    for (let unit = at - 2; unit >= 0; unit--) if (path.charCodeAt(unit) !== folder[unit]) return false;
    const name = this.#names.component(path, at);
    if (this.#names.end !== path.length) return false;
    this.mount = this.#task.root.mount;
    this.inode = this.#folderInode;
    this.#links = 0;
    this.#endBefore(name, 0, path.length - at, false);
    return true;
  }

  /** After `parent`: the inode of the last component, mounts on it not entered. @returns ENOENT, ENAMETOOLONG. */
  child(): Inode | Errno {
    const { fs } = this.mount;
    if (this.long && this.#names.byteLength(this.name) > fs.nameMax) return ENAMETOOLONG;
    return fs.lookup(this.inode, this.name);
  }

  /** After `parent`: goes on to the directory of the last component of a symbolic link's target. */
  parentOfTarget(link: Inode): Errno | undefined {
    const target = this.#target(link);
    return isErrno(target) ? target : this.#run(target, true, true);
  }

  /** After `parent`: makes an inode of this mount the end, entering what is mounted on it. */
  enter(inode: Inode): void {
    this.#foundIn = this.inode;
    this.#foundAs = this.name;
    this.inode = inode;
    if (this.mount.covers !== undefined) this.#descend();
  }

  /** After `parent` found a last component of dots or slashes: goes there. */
  enterDots(): void {
    if (this.kind === "dotdot") this.#up();
  }

  #begin(): void {
    this.#links = 0;
    this.#straight = true;
    this.#last = NO_INODE;
    this.#foundIn = NO_INODE;
    this.mount = this.#task.cwd.mount;
    this.inode = this.#task.cwd.inode;
  }

  #run(given: string, followLast: boolean, wantParent: boolean): Errno | undefined {
    const privileged = (this.#task.credentials.capabilities & SEARCHES_ALL) !== 0;
    const names = this.#names;
    let path = given;
    let at = this.#start(path);
    while (at < path.length) {
      const { mount, inode: directory } = this;
      if (!privileged && inodePermission(this.#task.credentials, mount.fs, directory, MAY_EXEC) !== undefined) return EACCES;
      const dots = path.charCodeAt(at) === DOT ? dotsAt(path, at) : 0;
      const name = dots === 0 ? names.component(path, at) : NO_NAME;
      const end = dots === 0 ? names.end : at + dots;
      let next = end;
      while (next < path.length && path.charCodeAt(next) === SLASH) next++;
      const last = next === path.length;
      if (last && wantParent) {
        this.#lastAt = at;
        return this.#endBefore(name, dots, end - at, next > end);
      }
      if (dots !== 0) {
        if (dots === 2) this.#up();
        this.#straight = false;
        at = next;
        continue;
      }
      if (end - at > SHORT_NAME && names.byteLength(name) > mount.fs.nameMax) return ENAMETOOLONG;
      const found = mount.fs.lookup(directory, name);
      if (isErrno(found)) return found;
      this.inode = found;
      if (mount.covers !== undefined) this.#descend();
      if (last) this.#noteLast(directory, name, next === end);
      at = next;
      const type = typeOf(this.mount.fs, this.inode);
      if (type === S_IFDIR) continue;
      const wantDirectory = next > end;
      if (type !== S_IFLNK) {
        if (wantDirectory) return ENOTDIR;
        break;
      }
      if (last && !followLast && !wantDirectory) return undefined;
      const target = this.#target(this.inode);
      if (isErrno(target)) return target;
      this.inode = directory;
      this.mount = mount;
      this.#endStraight();
      if (last && !wantDirectory) {
        path = target;
        at = this.#start(path);
        continue;
      }
      const lost = this.#run(target, true, false);
      if (lost !== undefined) return lost;
      if (typeOf(this.mount.fs, this.inode) !== S_IFDIR) return ENOTDIR;
    }
    this.kind = "root";
    this.slash = false;
    return undefined;
  }

  /** The last component was found. @param ends - whether the path ends with it, not with a slash */
  #noteLast(directory: Inode, name: Name, ends: boolean): void {
    this.#foundIn = directory;
    this.#foundAs = name;
    if (!ends || !this.#straight) return;
    this.#last = directory;
    this.name = name;
  }

  /** A link is followed: no name of the path is that of what it leads to, though that may have had it once. */
  #endStraight(): void {
    this.#straight = false;
    this.#last = NO_INODE;
  }

  /** Says what the last component is, before which the walk ends. */
  #endBefore(name: Name, dots: number, length: number, slash: boolean): undefined {
    this.name = name;
    this.kind = dots === 0 ? "normal" : dots === 1 ? "dot" : "dotdot";
    this.slash = slash;
    this.long = length > SHORT_NAME;
    return undefined;
  }

  /** Goes to the root for an absolute path. @returns where the first component begins. */
  #start(path: string): number {
    let at = 0;
    if (path.charCodeAt(0) === SLASH) {
      const { root } = this.#task;
      this.mount = root.mount;
      this.inode = root.inode;
      while (at < path.length && path.charCodeAt(at) === SLASH) at++;
    }
    return at;
  }

  /** Enters what is mounted here, and what is mounted on that. */
  #descend(): void {
    for (let over = this.mount.covers?.get(this.inode); over !== undefined; over = over.covers?.get(over.root)) {
      this.mount = over;
      this.inode = over.root;
    }
  }

  /** One directory up, through the tops of mounts, never above the task's root. */
  #up(): void {
    const { root } = this.#task;
    while (true) {
      if (this.mount === root.mount && this.inode === root.inode) return;
      if (this.inode !== this.mount.root) break;
      const { parent } = this.mount;
      if (parent === undefined) return;
      this.inode = this.mount.coveredInode;
      this.mount = parent;
    }
    this.inode = this.mount.fs.parentOf(this.inode);
    if (this.mount.covers !== undefined) this.#descend();
  }

  /** Reads a symbolic link that is to be followed. @returns ELOOP for one too many. */
  #target(link: Inode): string | Errno {
    if (this.#links++ >= SYMBOLIC_LINKS_MAX) return ELOOP;
    this.mount.touchAtime(link);
    return this.mount.fs.readlink(link);
  }
}

/** 1 for ".", 2 for "..", 0 for a name: of the component that begins with a dot at `at`. */
function dotsAt(path: string, at: number): number {
  const second = at + 1;
  if (second === path.length || path.charCodeAt(second) === SLASH) return 1;
  if (path.charCodeAt(second) !== DOT) return 0;
  const third = at + 2;
  return third === path.length || path.charCodeAt(third) === SLASH ? 2 : 0;
}
