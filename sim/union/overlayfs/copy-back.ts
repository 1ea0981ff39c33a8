/**
 * What copy-up finds at the name of an object that was removed while it was open: its whiteout, or what was made there since (fs/overlayfs/copy_up.c,
 * ovl_copy_up_tmpfile and ovl_copy_up_workdir; Linux 6.18, recorded).
 */
import { assert } from "../../core/assert.ts";
import { EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFDIR, S_IFMT, typeOf } from "../../vfs/filesystem.ts";
import { IS_INDEXED, IS_UNLINKED, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import type { Overlay, UpperLayer } from "./state.ts";

/** Where a copy gets its name: on the upper layer, or in the index. */
export interface Place {
  readonly node: Node;
  readonly directory: Inode;
  readonly name: Name;
}

/** Whether an unlinked file's name has been taken since, as a rule by its whiteout. */
export function refuseTaken(overlay: Overlay, upper: UpperLayer, place: Place): Errno | undefined {
  if (!overlay.nodes.has(place.node, IS_UNLINKED)) return undefined;
  return isErrno(upper.fs.lookup(place.directory, place.name)) ? undefined : EEXIST;
}

/** Whether a copy comes back to a name of a directory that it has lost. */
function comesBack({ nodes }: Overlay, { node }: Place): boolean {
  return nodes.has(node, IS_UNLINKED) && !nodes.has(node, IS_INDEXED);
}

/**
 * What is no directory, and was removed while it was open, takes the place of whatever is at its name now, a whiteout or not, which the mount goes on to
 * show (ovl_copy_up_workdir; Linux 6.18, recorded). @returns EISDIR for a directory there.
 */
export function coverOther(overlay: Overlay, upper: UpperLayer, place: Place, mode: number): Errno | undefined {
  if ((mode & S_IFMT) === S_IFDIR || !comesBack(overlay, place)) return undefined;
  const there = upper.fs.lookup(place.directory, place.name);
  if (!isErrno(there) && typeOf(upper.fs, there) === S_IFDIR) return EISDIR;
  const { nodes } = overlay;
  const shown = nodes.dentries.lookup(nodes.parentOf(place.node), place.name);
  if (shown !== 0 && shown < WHITEOUT_ENTRY) overlay.replace(shown);
  return undefined;
}

/** What has come back where the mount knows of nothing is not seen there. */
export function noteUnseen(overlay: Overlay, place: Place, copy: Inode): void {
  if (!comesBack(overlay, place)) return;
  const { nodes } = overlay;
  if (nodes.dentries.lookup(nodes.parentOf(place.node), place.name) >= WHITEOUT_ENTRY) overlay.unseen.add(copy);
}

/**
 * A directory that was removed while it was open may find a whiteout at its name, or what was made there since: vfs_rename refuses the former
 * and what holds something, and replaces an empty directory, which the mount goes on to show (Linux 6.18, recorded).
 */
export function refuseOther(overlay: Overlay, upper: UpperLayer, place: Place, mode: number): Errno | undefined {
  if ((mode & S_IFMT) !== S_IFDIR) return undefined;
  const there = upper.fs.lookup(place.directory, place.name);
  if (isErrno(there)) return undefined;
  if (typeOf(upper.fs, there) !== S_IFDIR) return ENOTDIR;
  const { nodes } = overlay;
  const shown = nodes.dentries.lookup(nodes.parentOf(place.node), place.name);
  assert(shown !== 0 && shown < WHITEOUT_ENTRY && shown !== place.node, "an upper directory in the way has no node");
  if (holdsAny(upper, there)) return ENOTEMPTY;
  overlay.replace(shown);
  return undefined;
}

function holdsAny(upper: UpperLayer, directory: Inode): boolean {
  let any = false;
  upper.fs.iterate(directory, () => {
    any = true;
  });
  return any;
}
