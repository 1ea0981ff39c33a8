/**
 * Sending a read-only subvolume as a stream of commands, whole or as the difference to a snapshot that the receiver has (fs/btrfs/send.c; Linux 6.18.
 * spec/block-cow.md 2.8).
 *
 * Order: inodes by their numbers. A new one is made under an orphan's name and renamed; then its further names, attributes, data, owner, mode and times. A folder's times
 * come when nothing is added to it any more. A folder that goes below one whose own turn to move is still to come waits for that (pending_dir_move).
 */
import { assert } from "../../core/assert.ts";
import { EINVAL, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import { majorOf, minorOf } from "../../core/units.ts";
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../vfs/filesystem.ts";
import type { Btrfs } from "./btrfs.ts";
import { changedInodes } from "./compare.ts";
import type { FileExtent, InodeItem } from "./items.ts";
import { EXTENT_DATA, FIRST_FREE, INODE_ITEM, key } from "./layout.ts";
import { firstNameIn, type NamePlace, namesIn, ReceiverNames } from "./receiver-names.ts";
import { CloneFinder } from "./send-clone.ts";
import { sendData } from "./send-data.ts";
import { sendXattrs } from "./send-xattrs.ts";
import type { Sending } from "./sending.ts";
import type { BtrfsState } from "./state.ts";
import type { Command, CommandAttributes, CommandName } from "./stream.ts";
import type { Subvolume } from "./subvolume.ts";

/** Folders whose times wait (SEND_MAX_DIR_UTIMES_CACHE_SIZE). */
const WAITING_MAX = 64;

/** rdev as the kernel encodes it in 32 bits (new_encode_dev). */
function encodedDevice(rdev: number): number {
  const minor = minorOf(rdev);
  return (minor & 0xff) + majorOf(rdev) * 256 + (minor - (minor & 0xff)) * 4096;
}

/** A folder's move that waits. */
interface Move {
  readonly ino: number;
  readonly place: NamePlace;
  /** Folders whose times change with it: where it was, where it goes. */
  readonly folders: readonly number[];
}

function isSame(one: NamePlace, other: NamePlace): boolean {
  return one.parent === other.parent && one.name === other.name;
}

/** Whether a folder of a snapshot lies below another one. */
function isBelowIn(of: Subvolume, folder: number, above: number): boolean {
  for (let at = folder; at !== FIRST_FREE; at = firstNameIn(of, at).parent) if (at === above) return true;
  return false;
}

class Sender implements Sending {
  readonly commands: Command[] = [];
  readonly state: BtrfsState;
  readonly right: Subvolume;
  readonly left: Subvolume | undefined;
  readonly sources: readonly Subvolume[];
  readonly #names: ReceiverNames;
  readonly #finder: CloneFinder;
  /** Folders whose times are to be sent, the one used last at the end. */
  readonly #waiting = new Set<number>();
  /** Folders that are gone but not empty at the receiver yet. */
  readonly #doomed = new Set<number>();
  /** Folders that are to move when another one has. */
  readonly #waitingMoves = new Set<number>();
  /** The same by the folder that they wait for. */
  readonly #moves = new Map<number, Move[]>();

  /** The inode whose turn it is, and the name that tells of it until its turn is over: as long as it has that name (cur_inode_path). */
  #turn = 0;
  #own: NamePlace | undefined;

  constructor(state: BtrfsState, right: Subvolume, left: Subvolume | undefined, sources: readonly Subvolume[]) {
    this.state = state;
    this.right = right;
    this.left = left;
    const all = new Set([right, ...(left === undefined ? [] : [left]), ...sources]);
    this.sources = [...all].sort((one, other) => one.id - other.id);
    this.#names = new ReceiverNames(left);
    this.#finder = new CloneFinder(this);
  }

  emit(name: CommandName, attributes: CommandAttributes): void {
    this.commands.push({ name, attributes });
  }

  path(ino: number): string {
    return ino === this.#turn && this.#own !== undefined ? this.#names.pathOf(this.#own) : this.#names.path(ino);
  }

  #item(of: Subvolume | undefined, ino: number): InodeItem | undefined {
    return of?.tree.get(key(ino, INODE_ITEM)) as InodeItem | undefined;
  }

  run(name: string): Errno | undefined {
    const { right, left } = this;
    const uuidOf = ({ item }: Subvolume): string => (item.receivedUuid === "" ? item.uuid : item.receivedUuid);
    const identity = { path: name, uuid: uuidOf(right), ctransid: right.item.ctransid };
    if (left === undefined) this.emit("subvol", identity);
    else this.emit("snapshot", { ...identity, clone_uuid: uuidOf(left), clone_ctransid: left.item.ctransid });
    for (const ino of changedInodes(right.tree, left?.tree)) {
      const failed = this.#inode(ino);
      if (failed !== undefined) return failed;
      this.#trimTimes();
    }
    for (const ino of [...this.#waiting].reverse()) this.#times(ino);
    this.emit("end", {});
    return undefined;
  }

  #inode(ino: number): Errno | undefined {
    this.#turn = ino;
    this.#own = ino === FIRST_FREE ? undefined : this.#names.places(ino)[0];
    const item = this.#item(this.right, ino);
    const before = this.#item(this.left, ino);
    if (item === undefined) {
      this.#remove(ino, before as InodeItem);
      return undefined;
    }
    if (ino !== FIRST_FREE) {
      if (before === undefined && !this.#names.has(ino)) this.#create(ino, item);
      this.#rename(ino, item);
    }
    sendXattrs(this, ino);
    const failed = sendData(this, this.#finder, ino, item);
    if (failed !== undefined) return failed;
    this.#finish(ino, item, before);
    return undefined;
  }

  // Names

  #orphanPlace(ino: number, item: InodeItem): NamePlace {
    let index = 0;
    const name = (): string => `o${ino}-${item.generation}-${index}`;
    while (this.#names.at(FIRST_FREE, name()) !== 0) index += 1;
    return { parent: FIRST_FREE, name: name() };
  }

  #create(ino: number, item: InodeItem): void {
    const place = this.#orphanPlace(ino, item);
    const path = place.name;
    const type = item.mode & S_IFMT;
    if (type === S_IFREG) this.emit("mkfile", { path, ino });
    else if (type === S_IFDIR) this.emit("mkdir", { path, ino });
    else if (type === S_IFLNK) this.emit("symlink", { path, ino, path_link: this.#target(ino) });
    else {
      const name = type === S_IFIFO ? "mkfifo" : type === S_IFSOCK ? "mksock" : "mknod";
      this.emit(name, { path, ino, rdev: encodedDevice(item.rdev), mode: item.mode });
    }
    this.#names.add(ino, place);
  }

  #target(ino: number): string {
    const extent = this.right.tree.get(key(ino, EXTENT_DATA)) as FileExtent;
    assert(extent.kind === "inline", `the target of symbolic link ${ino} is in its item`);
    return extent.content.toText();
  }

  /** Makes room for a name that another inode still has at the receiver. */
  #displace(place: NamePlace): void {
    const other = this.#names.at(place.parent, place.name);
    if (other === 0) return;
    const isFirst = isSame(this.#names.first(other), place);
    const path = this.#names.pathOf(place);
    this.#names.remove(other, place);
    if (!isFirst) {
      this.emit("unlink", { path });
      return;
    }
    // Whoever has a name that was not given here had it in the parent.
    const orphan = this.#orphanPlace(other, this.#item(this.left, other) as InodeItem);
    this.emit("rename", { path, path_to: orphan.name });
    this.#names.add(other, orphan);
  }

  /** A folder above that the receiver does not have yet is made before its turn. */
  #ensureFolder(ino: number): void {
    const item = this.#item(this.right, ino);
    if (item !== undefined && !this.#names.has(ino)) this.#create(ino, item);
  }

  /** Gives an inode the names that it is to have. */
  #rename(ino: number, item: InodeItem): void {
    const wanted = namesIn(this.right, ino);
    const added = wanted.filter((place) => !this.#names.places(ino).some((had) => isSame(had, place)));
    const surplus = this.#names.places(ino).filter((had) => !wanted.some((place) => isSame(had, place)));
    const lost =
      this.left === undefined ? [] : namesIn(this.left, ino).filter((had) => !wanted.some((place) => isSame(had, place)));
    const isFolder = (item.mode & S_IFMT) === S_IFDIR;
    for (const place of added) this.#displace(place);
    for (const place of added) {
      this.#ensureFolder(place.parent);
      const awaited = isFolder ? this.#awaited(ino, place) : 0;
      if (awaited !== 0) {
        this.#defer({ ino, place, folders: [...lost, place].map(({ parent }) => parent) }, awaited);
        surplus.splice(0, 1);
        continue;
      }
      const orphan = surplus.find((had) => isOrphanOf(ino, item, had));
      const old = orphan ?? (isFolder ? surplus[0] : undefined);
      if (old !== undefined) {
        this.#move(ino, old, place);
        surplus.splice(surplus.indexOf(old), 1);
      } else {
        this.emit("link", { path: this.#names.pathOf(place), path_link: this.path(ino) });
        this.#names.add(ino, place);
      }
    }
    for (const had of surplus) this.#unlink(ino, had);
    // What tells of it behind its turn is the first name of its items (send_progress).
    this.#names.order(ino, wanted);
    for (const { parent } of [...added, ...lost]) this.#leaveFolder(parent, ino);
  }

  #move(ino: number, from: NamePlace, to: NamePlace): void {
    this.emit("rename", { path: this.#names.pathOf(from), path_to: this.#names.pathOf(to) });
    this.#names.remove(ino, from);
    this.#names.add(ino, to);
    if (ino === this.#turn) this.#own = to;
  }

  #unlink(ino: number, place: NamePlace): void {
    this.emit("unlink", { path: this.#names.pathOf(place) });
    this.#names.remove(ino, place);
    if (ino === this.#turn && this.#own !== undefined && isSame(this.#own, place)) this.#own = undefined;
  }

  // Folders that wait

  /**
   * The folder above a place that is to move before `ino` may go there; 0 for none: one that waits itself and is below `ino` so far, or one whose turn
   * is still to come and that will have another name or place then (wait_for_parent_move).
   */
  #awaited(ino: number, place: NamePlace): number {
    const { left, right } = this;
    if (left === undefined) return 0;
    for (let at = place.parent; at !== FIRST_FREE; at = firstNameIn(right, at).parent) {
      if (this.#waitingMoves.has(at) && isBelowIn(left, at, ino)) return at;
      if (this.#item(left, at) === undefined) return 0;
      if (at > ino && !isSame(firstNameIn(left, at), firstNameIn(right, at))) return at;
    }
    return 0;
  }

  #defer(move: Move, awaited: number): void {
    this.#waitingMoves.add(move.ino);
    this.#moves.set(awaited, [...(this.#moves.get(awaited) ?? []), move]);
  }

  #movesFor(done: number): readonly Move[] {
    const moves = this.#moves.get(done) ?? [];
    this.#moves.delete(done);
    return moves;
  }

  /** A folder is where it is to be: those that waited for it move, and those that waited for them (apply_children_dir_moves). */
  #applyMoves(done: number): void {
    const moves = [...this.#movesFor(done)];
    for (const move of moves) {
      const { ino, place, folders } = move;
      this.#waitingMoves.delete(ino);
      const awaited = this.#loopAbove(ino, place);
      if (awaited !== 0) this.#defer(move, awaited);
      else {
        this.#move(ino, this.#names.first(ino), place);
        this.#removeDoomed();
        for (const folder of [ino, ...folders]) this.#keepTimes(folder);
      }
      moves.push(...this.#movesFor(ino));
    }
  }

  /** Where a folder would come to be below itself, the folder above its place for which it must wait; else 0 (path_loop). */
  #loopAbove(ino: number, place: NamePlace): number {
    let awaited = 0;
    for (let at = place.parent; at !== FIRST_FREE; at = this.#names.first(at).parent) {
      if (at === ino) return awaited;
      if (awaited === 0 && this.#waitingMoves.has(at)) awaited = at;
    }
    return 0;
  }

  // Removing

  #remove(ino: number, before: InodeItem): void {
    const isFolder = (before.mode & S_IFMT) === S_IFDIR;
    for (const place of this.#names.places(ino)) {
      const isOrphan = isOrphanOf(ino, before, place);
      if (!isFolder) this.#unlink(ino, place);
      else if (this.#names.isEmpty(ino)) {
        this.emit("rmdir", { path: this.#names.pathOf(place) });
        this.#names.remove(ino, place);
      } else if (isOrphan) this.#doomed.add(ino);
      else {
        const orphan = this.#orphanPlace(ino, before);
        this.emit("rename", { path: this.#names.pathOf(place), path_to: orphan.name });
        this.#names.remove(ino, place);
        this.#names.add(ino, orphan);
        this.#doomed.add(ino);
      }
    }
    for (const { parent } of namesIn(this.left as Subvolume, ino)) this.#leaveFolder(parent, ino);
  }

  /** A folder that had or gets a name of an inode: it goes if it waited for that, else its times follow (process_recorded_refs, check_dirs). */
  #leaveFolder(folder: number, by: number): void {
    if (this.#doomed.has(folder)) this.#removeIfEmpty(folder);
    else this.#touchFolder(folder, by);
  }

  #removeIfEmpty(folder: number): void {
    const [place] = this.#names.places(folder);
    if (place === undefined || !this.#names.isEmpty(folder)) return;
    this.#doomed.delete(folder);
    this.emit("rmdir", { path: this.#names.pathOf(place) });
    this.#names.remove(folder, place);
  }

  #removeDoomed(): void {
    for (const ino of [...this.#doomed]) this.#removeIfEmpty(ino);
  }

  // Owner, mode, times

  /** An entry of a folder has changed: its times follow, unless its own turn is still to come. */
  #touchFolder(folder: number, by: number): void {
    if (folder <= by) this.#keepTimes(folder);
  }

  #keepTimes(folder: number): void {
    if (this.#item(this.right, folder) === undefined) return;
    this.#waiting.delete(folder);
    this.#waiting.add(folder);
  }

  /** Sends the times of the folders that were used longest ago, until no more wait than may (trim_dir_utimes_cache). */
  #trimTimes(): void {
    for (const first of this.#waiting) {
      if (this.#waiting.size <= WAITING_MAX) return;
      this.#waiting.delete(first);
      this.#times(first);
    }
  }

  #times(ino: number): void {
    const item = this.#item(this.right, ino) as InodeItem;
    this.emit("utimes", { path: this.path(ino), atime: item.atime, mtime: item.mtime, ctime: item.ctime });
  }

  #finish(ino: number, item: InodeItem, before: InodeItem | undefined): void {
    const type = item.mode & S_IFMT;
    const path = this.path(ino);
    if (before === undefined || before.uid !== item.uid || before.gid !== item.gid)
      this.emit("chown", { path, uid: item.uid, gid: item.gid });
    if (type !== S_IFLNK && (before === undefined || before.mode !== item.mode))
      this.emit("chmod", { path, mode: item.mode & 0o7777 });
    if (this.#waitingMoves.has(ino)) return;
    this.#applyMoves(ino);
    if (type === S_IFDIR && item.size > 0) this.#touchFolder(ino, ino);
    else this.#times(ino);
  }
}

/** Whether a name is one that a stream gives what has none of its own for a while (gen_unique_name). */
function isOrphanOf(ino: number, { generation }: InodeItem, { parent, name }: NamePlace): boolean {
  return parent === FIRST_FREE && name.startsWith(`o${ino}-${generation}-`);
}

/**
 * The commands of a subvolume's stream.
 * @param name - what the stream calls it. @param parent - the snapshot that the receiver has. @param sources - further snapshots that it has, to clone data from.
 * @returns EPERM when one of them is not read-only, EINVAL for a subvolume that is not there.
 */
export function send(fs: Btrfs, id: number, name: string, parent?: number, sources: readonly number[] = []): Command[] | Errno {
  const { subvolumes } = fs.state;
  const known = [id, ...(parent === undefined ? [] : [parent]), ...sources].map((one) => subvolumes.get(one));
  const there = known.filter((one) => one !== undefined);
  const [right] = there;
  if (right === undefined || there.length < known.length) return EINVAL;
  if (there.some(({ item }) => !item.readOnly)) return EPERM;
  const left = parent === undefined ? undefined : there[1];
  const sender = new Sender(fs.state, right, left, there);
  const failed = sender.run(name);
  return isErrno(failed) ? failed : sender.commands;
}
