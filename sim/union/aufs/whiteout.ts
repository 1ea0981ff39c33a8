/**
 * Whiteouts and opaque marks on writable branches (fs/aufs/whout.c; spec/union.md sections 11 and 14).
 */
import { EMLINK, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFREG } from "../../vfs/filesystem.ts";
import { IS_OPAQUE, type Node } from "../nodes.ts";
import { isReserved } from "./names.ts";
import type { Aufs } from "./state.ts";

/** Of a whiteout: an empty file that nobody may write (WH_MASK). */
export const WHITEOUT_MODE: number = S_IFREG | 0o444;

/** A file of aufs's own: a hard link of the base, or a file for itself where links are not to be had (link_or_create_wh). */
function linkOrCreate(aufs: Aufs, branch: number, directory: Inode, name: Name): Errno | undefined {
  const { fs } = aufs.upperAt(branch);
  const { whiteoutBase } = aufs.ownOn(branch);
  if (whiteoutBase !== undefined) {
    const failed = fs.link(whiteoutBase, directory, name);
    if (failed !== EMLINK) return failed;
  }
  const made = fs.create(directory, name, { mode: WHITEOUT_MODE, uid: 0, gid: 0, rdev: 0, target: "" });
  if (isErrno(made)) return made;
  aufs.counters.upperCreates += 1;
  return undefined;
}

/** Hides a name of a directory that is on the branch. */
export function placeWhiteout(aufs: Aufs, directory: Node, name: Name, branch: number): Errno | undefined {
  const failed = linkOrCreate(aufs, branch, aufs.mustBeOn(directory, branch), aufs.rules.whiteouts.of(name));
  if (failed !== undefined) return failed;
  aufs.counters.whiteouts += 1;
  if (aufs.events.listening) {
    const parent = aufs.pathOf(directory);
    aufs.events.emit({
      op: "whiteout",
      filesystem: aufs.label,
      path: `${parent === "/" ? "" : parent}/${aufs.names.text(name)}`,
    });
  }
  return undefined;
}

/** Takes a whiteout away. */
export function removeWhiteout(aufs: Aufs, directory: Node, name: Name, branch: number): Errno | undefined {
  return aufs.upperAt(branch).fs.unlink(aufs.mustBeOn(directory, branch), aufs.rules.whiteouts.of(name));
}

/** Marks a directory opaque on a branch: what is below takes no part in it from now on. */
export function setOpaque(aufs: Aufs, node: Node, branch: number): Errno | undefined {
  if (aufs.opaqueBranch(node) === branch) return undefined;
  const failed = linkOrCreate(aufs, branch, aufs.mustBeOn(node, branch), aufs.rules.whiteouts.opaqueMarker);
  if (failed === undefined) aufs.nodes.set(node, IS_OPAQUE);
  return failed;
}

/** Removes every whiteout and mark of a directory on a branch, which shows nothing. */
export function clearWhiteouts(aufs: Aufs, node: Node, branch: number): Errno | undefined {
  const { fs } = aufs.upperAt(branch);
  const directory = aufs.mustBeOn(node, branch);
  const own: Name[] = [];
  const failed = fs.iterate(directory, (name) => {
    if (isReserved(aufs.names.text(name))) own.push(name);
  });
  if (failed !== undefined) return failed;
  for (const name of own) {
    const kept = fs.unlink(directory, name);
    if (kept !== undefined) return kept;
  }
  return undefined;
}
