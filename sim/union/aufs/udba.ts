/**
 * Changes made on a branch itself, beside the mount, and which of them it sees: option udba, the user's direct branch access (fs/aufs/dentry.c,
 * h_d_revalidate; hnotify.c; aufs(5)).
 *
 * - none: a name stays what it was found to be.
 * - reval: each step of a walk looks whether the branches that a known name was found on still have that object there; of an absent name, whether
 *   the topmost branch of its directory still has nothing. So what goes, or comes in its place, is seen; what comes on a branch above or below, and
 *   whiteouts, are not.
 * - notify: directories are watched on their branches, so that every change of a name is seen. A mark of an opaque directory is no name's.
 *
 * Names that the mount has not met yet are looked for, whatever the option says. Whatever it is, too, a listing of a directory that was read less
 * than rdcache seconds ago is given again until the mount itself changes the directory, or hears of a change (vdir.c, read_vdir).
 *
 * Interface: this holds for mounts whose options name udba. They have no lower branches, since a merged view never changes (mount.ts). Without the
 * word, which Docker does not use, nobody but the mount may change its branches, and nothing is asked twice.
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { Inode } from "../../vfs/filesystem.ts";
import { IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO } from "../../vfs/watches.ts";
import { IS_DIRECTORY, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { loseEntry } from "./lose.ts";
import { changedName } from "./names.ts";
import { refreshEntry } from "./refresh.ts";
import type { Aufs } from "./state.ts";

const NAMES_CHANGE: number = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
const NANOSECONDS_A_SECOND = 1_000_000_000;
const NO_MARK = (): void => {};

/** Begins with the root what an option of a new mount, or of a remount, asks for. */
export function beginDirectAccess(aufs: Aufs): void {
  aufs.pins.releaseAll();
  aufs.listings.clear();
  const isOpen = aufs.options.udba !== undefined;
  aufs.whenPlaced = isOpen ? (directory): void => keep(aufs, directory) : undefined;
  if (isOpen) keep(aufs, ROOT_NODE);
}

/** Keeps what a mount knows of a node on its branches. */
export function keep(aufs: Aufs, node: Node): void {
  const isDirectory = aufs.nodes.has(node, IS_DIRECTORY);
  for (const [branch, { fs }] of aufs.uppers.entries()) {
    const inode = isDirectory ? aufs.inodeOn(node, branch) : branch === aufs.branchOf(node) ? aufs.inodeOf(node) : undefined;
    if (inode === undefined || aufs.pins.has(node, fs, inode)) continue;
    const listens = isDirectory && aufs.options.udba === "notify";
    const heard = (_mask: number, name: string): void => hear(aufs, node, name);
    aufs.pins.add(node, { fs, inode }, () => (listens ? aufs.watch({ fs, inode }, NAMES_CHANGE, heard) : NO_MARK));
  }
}

/** A name of a watched directory has changed on a branch: it is looked for again, and what is in it (au_hn_bh, hn_gen_tree). */
function hear(aufs: Aufs, directory: Node, text: string): void {
  const { nodes } = aufs;
  const name = aufs.names.intern(changedName(text));
  aufs.listings.delete(directory);
  const child = nodes.dentries.lookup(directory, name);
  if (child === 0) return;
  if (child >= WHITEOUT_ENTRY) nodes.forget(directory, name);
  else refreshEntry(aufs, directory, name, child);
}

/** Gives up a known name that the branches have something else at. @returns whether it was given up */
export function giveUp(aufs: Aufs, directory: Node, name: Name, known: Node): boolean {
  const { udba, dirren } = aufs.options;
  // Under dirren a name of a branch is not the name that shows.
  if (udba === "none" || dirren || isStill(aufs, directory, name, known)) {
    if (known < WHITEOUT_ENTRY) keep(aufs, known);
    return false;
  }
  if (known >= WHITEOUT_ENTRY) aufs.nodes.forget(directory, name);
  else loseEntry(aufs, directory, name, known);
  return true;
}

/** Whether the branches that a known name was found on have at it what they had. */
function isStill(aufs: Aufs, directory: Node, name: Name, known: Node): boolean {
  const { nodes, uppers } = aufs;
  if (known >= WHITEOUT_ENTRY) {
    const found = lookOn(aufs, directory, name, aufs.branchOf(directory));
    return found === undefined || isErrno(found);
  }
  if (!nodes.has(known, IS_DIRECTORY)) {
    const found = nodes.has(known, IS_PSEUDO_LINKED) ? undefined : lookOn(aufs, directory, name, aufs.branchOf(known));
    return found === undefined || found === nodes.upperOf(known);
  }
  for (let branch = aufs.branchOf(known); branch < uppers.length; branch++) {
    const inode = aufs.inodeOn(known, branch);
    const found = inode === undefined ? undefined : lookOn(aufs, directory, name, branch);
    if (found !== undefined && found !== inode) return false;
  }
  return true;
}

/** What a branch has at a name, its whiteouts aside; undefined where it has not the directory. */
function lookOn(aufs: Aufs, directory: Node, name: Name, branch: number): Inode | Errno | undefined {
  const inside = aufs.inodeOn(directory, branch);
  return inside === undefined ? undefined : aufs.upperAt(branch).fs.lookup(inside, name);
}

/** Whether a listing that was read at a time is given again. */
export function isFresh(aufs: Aufs, readAt: number): boolean {
  return aufs.clock.now - readAt <= aufs.options.listingSeconds * NANOSECONDS_A_SECOND;
}
