/**
 * Names that go: unlink and rmdir (fs/aufs/i_op_del.c; spec/union.md section 14 and part D, P).
 *
 * Interface: a name that some branch below shows gets a whiteout, which is made first; any other is simply taken away. A directory is first
 * renamed out of the way, so that it goes at once.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { IS_DIRECTORY, type Node } from "../nodes.ts";
import { bringDirectory } from "./copy-up.ts";
import { noteChange } from "./dir-times.ts";
import { testEmpty } from "./emptiness.ts";
import { branchOfName, leaveAbsent, lookup, showsBelow } from "./lookup.ts";
import { loseEntries, markStale } from "./lose.ts";
import { mayChange, mayLookBelow } from "./permission.ts";
import { copyUpBranch } from "./policy.ts";
import { refuseGone } from "./present.ts";
import type { Aufs, BranchName } from "./state.ts";
import { placeWhiteout, removeAside, removeWhiteout, setAside } from "./whiteout.ts";

export function unlink(aufs: Aufs, directory: Node, name: Name): Errno | undefined {
  const node = lookup(aufs, directory, name);
  return isErrno(node) ? node : remove(aufs, node, directory, name);
}

/** @returns ENOTEMPTY while the directory shows an entry. */
export function rmdir(aufs: Aufs, directory: Node, name: Name): Errno | undefined {
  if (aufs.uppers.length === 0) return EROFS;
  const node = lookup(aufs, directory, name);
  if (isErrno(node)) return node;
  return testEmpty(aufs, node) ?? remove(aufs, node, directory, name);
}

function remove(aufs: Aufs, node: Node, directory: Node, name: Name): Errno | undefined {
  const { nodes } = aufs;
  const top = branchOfName(aufs, node, directory, name);
  const taken = aufs.isWritable(top);
  const branch = taken ? top : copyUpBranch(aufs, directory, top);
  if (isErrno(branch)) return branch;
  const refused =
    (taken ? mayLookBelow(aufs, directory, branch) : undefined) ??
    bringDirectory(aufs, directory, branch) ??
    mayChange(aufs, directory, branch) ??
    (taken ? refuseGone(aufs, node, { directory, name, branch }) : undefined);
  if (refused !== undefined) return refused;
  const covered = !taken || showsBelow(aufs, node, { directory, name, branch });
  if (isErrno(covered)) return covered;
  const unhidden = covered ? placeWhiteout(aufs, directory, name, branch) : undefined;
  if (unhidden !== undefined) return unhidden;
  if (taken) {
    nodes.beforeLoss(node);
    const failed = removeUpper(aufs, node, { directory, name, branch });
    if (failed !== undefined) {
      if (covered) removeWhiteout(aufs, directory, name, branch);
      return failed;
    }
  }
  // A directory that goes had a passing name, which its own does not equal (h_d_revalidate); of a name with a whiteout that is not looked at.
  if (!covered && nodes.has(node, IS_DIRECTORY) && !aufs.options.dirren) markStale(aufs, { node, directory, name });
  aufs.openedAs.forget({ node, directory, name });
  // Whiteouts may cover an entry for this and not for a lookup (emptiness.ts).
  if (nodes.has(node, IS_DIRECTORY)) loseEntries(aufs, node);
  leaveAbsent(aufs, directory, name, covered);
  aufs.countLinks(node, -1);
  nodes.afterLoss(node);
  noteChange(aufs, directory, branch);
  return undefined;
}

/** Takes away what a writable branch has; a directory's whiteouts go with it. */
function removeUpper(aufs: Aufs, node: Node, at: BranchName): Errno | undefined {
  if (!aufs.nodes.has(node, IS_DIRECTORY))
    return aufs.upperAt(at.branch).fs.unlink(aufs.mustBeOn(at.directory, at.branch), at.name);
  const passing = setAside(aufs, at);
  if (isErrno(passing)) return passing;
  removeAside(aufs, node, at, passing);
  return undefined;
}
