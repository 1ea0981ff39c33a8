/**
 * Names that go: unlink and rmdir (fs/aufs/i_op_del.c; spec/union.md section 14 and part D, P).
 *
 * Interface: a name that some lower branch shows gets a whiteout, which is made first; any other is simply taken away.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { IS_DIRECTORY, NEGATIVE_ENTRY, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { copyUpDirectory } from "./copy-up.ts";
import { isOnUpper, lookup } from "./lookup.ts";
import { mayLookBelow } from "./permission.ts";
import { testEmpty } from "./readdir.ts";
import type { Aufs } from "./state.ts";
import { clearWhiteouts, placeWhiteout, removeWhiteout } from "./whiteout.ts";

export function unlink(aufs: Aufs, directory: Node, name: Name): Errno | undefined {
  const node = lookup(aufs, directory, name);
  return isErrno(node) ? node : remove(aufs, node, directory, name);
}

/** @returns ENOTEMPTY while the directory shows an entry. */
export function rmdir(aufs: Aufs, directory: Node, name: Name): Errno | undefined {
  if (aufs.upper === undefined) return EROFS;
  const node = lookup(aufs, directory, name);
  if (isErrno(node)) return node;
  return testEmpty(aufs, node) ?? remove(aufs, node, directory, name);
}

function remove(aufs: Aufs, node: Node, directory: Node, name: Name): Errno | undefined {
  const { nodes } = aufs;
  const onUpper = isOnUpper(aufs, node, directory, name);
  const refused = (onUpper ? mayLookBelow(aufs, directory) : undefined) ?? copyUpDirectory(aufs, directory);
  if (refused !== undefined) return refused;
  const covered = !onUpper || aufs.lowerHas(directory, name);
  const unhidden = covered ? placeWhiteout(aufs, directory, name) : undefined;
  if (unhidden !== undefined) return unhidden;
  if (onUpper) {
    aufs.beforeLoss(node);
    const failed = removeUpper(aufs, node, directory, name);
    if (failed !== undefined) {
      if (covered) removeWhiteout(aufs, directory, name);
      return failed;
    }
  }
  aufs.openedAs.forget({ node, directory, name });
  nodes.leave(directory, name, covered ? WHITEOUT_ENTRY : NEGATIVE_ENTRY);
  aufs.countLinks(node, -1);
  aufs.afterLoss(node);
  return undefined;
}

/** Takes away what the writable branch has; a directory's whiteouts go with it. */
function removeUpper(aufs: Aufs, node: Node, directory: Node, name: Name): Errno | undefined {
  const { nodes, upper } = aufs;
  if (upper === undefined) return EROFS;
  const from = nodes.upperOf(directory);
  return nodes.has(node, IS_DIRECTORY)
    ? (clearWhiteouts(aufs, nodes.upperOf(node)) ?? upper.fs.rmdir(from, name))
    : upper.fs.unlink(from, name);
}
