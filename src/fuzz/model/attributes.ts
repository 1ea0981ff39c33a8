/**
 * Calls of the plain tree on attributes and extended attributes, and those that list.
 */
import { EACCES, EBADF, EEXIST, EINVAL, ENODATA, ENOTDIR, EPERM, type Errno } from "../../../sim/core/errno.ts";
import { compareTexts } from "../../calls/show.ts";
import { type Step, textOf, wholeOf } from "../../calls/step.ts";
import { modeOfStep } from "./names.ts";
import type { ModelNode } from "./node.ts";
import type { ModelTree } from "./tree.ts";

/** What stat(2) is asked of; the comparison looks at the node itself. */
export function stat(tree: ModelTree, step: Step): ModelNode | Errno {
  return tree.find(textOf(step, "path"), true);
}

export function lstat(tree: ModelTree, step: Step): ModelNode | Errno {
  return tree.find(textOf(step, "path"), false);
}

export function fstat(tree: ModelTree, step: Step): ModelNode | Errno {
  return tree.files.get(textOf(step, "fd"))?.node ?? EBADF;
}

export function access(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  const want = textOf(step, "want");
  const mask = (want.includes("r") ? 4 : 0) | (want.includes("w") ? 2 : 0) | (want.includes("x") ? 1 : 0);
  return tree.may(node, mask) ? undefined : EACCES;
}

function changeMode(tree: ModelTree, node: ModelNode, mode: number): Errno | undefined {
  if (!tree.owns(node)) return EPERM;
  if (node.covered && tree.isLower(node) && !tree.rules.copiesUnlinked) {
    tree.fire("an unlinked lower file cannot change");
    return EEXIST;
  }
  tree.change(node);
  node.mode = (mode & 0o2000) !== 0 && !tree.keepsGroupBit(node.gid) ? mode & 0o5777 : mode & 0o7777;
  return undefined;
}

export function chmod(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  return "code" in node ? node : changeMode(tree, node, modeOfStep(step));
}

export function fchmod(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.files.get(textOf(step, "fd"))?.node;
  return node === undefined ? EBADF : changeMode(tree, node, modeOfStep(step));
}

/** A change of owner takes set-id bits from what is no directory. */
function changeOwner(tree: ModelTree, node: ModelNode, uid: number, gid: number): Errno | undefined {
  const { actor } = tree;
  let mode = node.mode;
  if (node.type !== "dir") {
    mode &= ~0o4000;
    if ((node.mode & 0o2000) !== 0 && ((node.mode & 0o010) !== 0 || !tree.keepsGroupBit(node.gid))) mode &= ~0o2000;
  } else if (tree.rules.dropsSetIdOfDirectories && uid !== -1 && actor.uid !== 0) mode &= ~0o6000;
  const isOwner = actor.uid === node.uid;
  if (actor.uid !== 0) {
    if (uid !== -1 && !(isOwner && uid === node.uid)) return EPERM;
    if (gid !== -1 && !(isOwner && (gid === node.gid || tree.inGroup(gid)))) return EPERM;
    if (mode !== node.mode && !isOwner) return EPERM;
  }
  tree.change(node);
  if (uid !== -1) node.uid = uid;
  if (gid !== -1) node.gid = gid;
  node.mode = mode !== node.mode && (mode & 0o2000) !== 0 && !tree.keepsGroupBit(node.gid) ? mode & ~0o2000 : mode;
  return undefined;
}

function chownCall(follow: boolean): (tree: ModelTree, step: Step) => Errno | undefined {
  return (tree, step) => {
    const node = tree.find(textOf(step, "path"), follow);
    return "code" in node ? node : changeOwner(tree, node, wholeOf(step, "uid"), wholeOf(step, "gid"));
  };
}

export const chown: ReturnType<typeof chownCall> = chownCall(true);
export const lchown: ReturnType<typeof chownCall> = chownCall(false);

export function utimens(tree: ModelTree, step: Step): Errno | undefined {
  const { atime, mtime } = step;
  if (atime === "OMIT" && mtime === "OMIT") return undefined;
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  if (!tree.owns(node)) return EPERM;
  tree.change(node);
  if (typeof mtime === "number") node.mtime = tree.rules.timesInSeconds ? Math.floor(mtime / 1e9) * 1e9 : mtime;
  else if (mtime !== "OMIT") node.mtime = undefined;
  return undefined;
}

/** Nothing where the time is not known, as of directories that copying up changes: a call on anything below may have done that. */
export function mtime(tree: ModelTree, step: Step): number | bigint | Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  return node.type === "dir" && !tree.rules.keepsDirectoryTimes ? undefined : node.mtime;
}

/** Who may touch an attribute of a name. */
function xattrRefusal(tree: ModelTree, node: ModelNode, name: string, writes: boolean): Errno | undefined {
  if (name.startsWith("trusted.")) return tree.actor.uid === 0 ? undefined : writes ? EPERM : ENODATA;
  if (node.type !== "file" && node.type !== "dir") return writes ? EPERM : ENODATA;
  if (node.type === "dir" && (node.mode & 0o1000) !== 0 && writes && !tree.owns(node)) return EPERM;
  return tree.may(node, writes ? 2 : 4) ? undefined : EACCES;
}

export function setxattr(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  const name = textOf(step, "name");
  const refused = xattrRefusal(tree, node, name, true);
  if (refused !== undefined) return refused;
  tree.change(node);
  node.xattrs ??= new Map();
  node.xattrs.set(name, textOf(step, "value"));
  return undefined;
}

export function getxattr(tree: ModelTree, step: Step): string | Errno {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  const name = textOf(step, "name");
  return xattrRefusal(tree, node, name, false) ?? node.xattrs?.get(name) ?? ENODATA;
}

export function listxattr(tree: ModelTree, step: Step): readonly string[] | Errno {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  const names = [...(node.xattrs?.keys() ?? [])];
  const shown = tree.actor.uid === 0 || tree.rules.listsTrusted ? names : names.filter((name) => !name.startsWith("trusted."));
  return shown.sort(compareTexts);
}

export function removexattr(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  const name = textOf(step, "name");
  const refused = xattrRefusal(tree, node, name, true);
  if (refused !== undefined) return refused;
  if (node.xattrs?.has(name) !== true) return ENODATA;
  tree.change(node);
  if (tree.rules.emptiesXattrs) {
    tree.fire("removexattr leaves an empty value");
    node.xattrs.set(name, "");
  } else node.xattrs.delete(name);
  return undefined;
}

export function readlink(tree: ModelTree, step: Step): string | Errno {
  const node = tree.find(textOf(step, "path"), false);
  if ("code" in node) return node;
  return node.type === "symlink" ? node.target : EINVAL;
}

/** The directory whose entries the comparison looks at. */
export function readdir(tree: ModelTree, step: Step): ModelNode | Errno {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  if (node.entries === undefined) return ENOTDIR;
  return tree.may(node, 4) ? node : EACCES;
}

/** Whether an fchmod has a removed lower directory to copy up: what it does to whatever has the name now is nobody's business. */
export function changesRemovedDirectory(tree: ModelTree, step: Step): boolean {
  const node = tree.files.get(textOf(step, "fd"))?.node;
  return node?.type === "dir" && node.covered && !tree.rules.copiesUnlinked;
}
