/**
 * Calls of the plain tree on names: mkdir, mknod, symlink, link, unlink, rmdir, rename. The order of errors is Linux's.
 */
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  type Errno,
  EXDEV,
} from "../../../sim/core/errno.ts";
import { isList } from "../../calls/json.ts";
import { type Step, textOf } from "../../calls/step.ts";
import { type ModelNode, type NodeType, newNode } from "./node.ts";
import type { ModelTree } from "./tree.ts";

/** Modes as steps write them, "0644"; each text is read once. */
const MODES = new Map<unknown, number>();

export function modeOfStep(step: Step, otherwise = 0o644): number {
  const text = step["mode"];
  let mode = MODES.get(text);
  if (mode === undefined) {
    mode = typeof text === "string" ? Number.parseInt(text, 8) : otherwise;
    if (text !== undefined) MODES.set(text, mode);
  }
  return mode;
}

/** Walks to where a name is to be made: it must be free. */
function freeName(tree: ModelTree, path: string): Errno | undefined {
  const lost = tree.walk(path, false);
  if (lost !== undefined) return lost;
  return tree.node === undefined ? undefined : EEXIST;
}

/** Makes a node at the free name where the walk stands: the directory's set-group-id bit gives its group. */
export function makeNode(tree: ModelTree, type: NodeType, given: number, more: Partial<ModelNode> = {}): ModelNode | Errno {
  const { directory, name, actor } = tree;
  if (!tree.may(directory, 3)) return EACCES;
  let mode = given;
  let { gid } = actor;
  if ((directory.mode & 0o2000) !== 0) {
    gid = directory.gid;
    if (type === "dir") mode |= 0o2000;
    else if ((mode & 0o2010) === 0o2010 && !tree.keepsGroupBit(gid)) mode &= ~0o2000;
  }
  if (type !== "symlink") mode &= ~tree.umask;
  const node = newNode(type, { mode, uid: actor.uid, gid, layer: tree.layer, ...more });
  if (type === "dir") node.parent = directory;
  directory.entries?.set(name, node);
  directory.mtime = undefined;
  return node;
}

function made(answer: ModelNode | Errno): Errno | undefined {
  return "code" in answer ? answer : undefined;
}

export function mkdir(tree: ModelTree, step: Step): Errno | undefined {
  const wrong = freeName(tree, textOf(step, "path"));
  return wrong ?? made(makeNode(tree, "dir", modeOfStep(step, 0o777) & 0o1777));
}

export function mknod(tree: ModelTree, step: Step): Errno | undefined {
  const type = textOf(step, "type") as NodeType;
  const wrong = freeName(tree, textOf(step, "path"));
  if (wrong !== undefined) return wrong;
  if (!tree.may(tree.directory, 3)) return EACCES;
  const device = type === "char" || type === "block";
  if (device && tree.actor.uid !== 0) return EPERM;
  const { rdev } = step;
  const numbers = isList(rdev) ? ([Number(rdev[0]), Number(rdev[1])] as const) : ([0, 0] as const);
  return made(makeNode(tree, type, modeOfStep(step) & 0o7777, { rdev: numbers }));
}

export function symlink(tree: ModelTree, step: Step): Errno | undefined {
  const wrong = freeName(tree, textOf(step, "path"));
  return wrong ?? made(makeNode(tree, "symlink", 0o777, { target: textOf(step, "target") }));
}

export function link(tree: ModelTree, step: Step): Errno | undefined {
  const source = tree.find(textOf(step, "path"), false);
  if ("code" in source) return source;
  const wrong = freeName(tree, textOf(step, "to"));
  if (wrong !== undefined) return wrong;
  const { directory, name } = tree;
  if (!mayLink(tree, source)) return EPERM;
  if (!tree.may(directory, 3)) return EACCES;
  if (source.type === "dir") return EPERM;
  tree.change(source);
  source.links += 1;
  directory.entries?.set(name, source);
  directory.mtime = undefined;
  return undefined;
}

/** fs.protected_hardlinks = 1: somebody else's file may be linked when it could be read and written and is not set-id. */
function mayLink(tree: ModelTree, node: ModelNode): boolean {
  if (tree.owns(node)) return true;
  if (node.type !== "file" || (node.mode & 0o4000) !== 0 || (node.mode & 0o2010) === 0o2010) return false;
  return tree.may(node, 6);
}

/** Whether an entry may be removed, as vfs_unlink and vfs_rmdir ask. */
function mayDelete(tree: ModelTree, directory: ModelNode, victim: ModelNode, wantDirectory: boolean): Errno | undefined {
  if (!tree.may(directory, 3)) return EACCES;
  const { uid } = tree.actor;
  if ((directory.mode & 0o1000) !== 0 && uid !== 0 && victim.uid !== uid && directory.uid !== uid) return EPERM;
  if (wantDirectory) return victim.type === "dir" ? undefined : ENOTDIR;
  return victim.type === "dir" ? EISDIR : undefined;
}

/** A file loses one of its names; those of a lower file with several are each a file of its own where copying breaks links. */
function loseName(tree: ModelTree, node: ModelNode): void {
  if (node.type === "dir") {
    node.covered ||= tree.isLower(node);
    return;
  }
  if (tree.isLower(node)) {
    node.covered = true;
    if (tree.rules.breaksLinks) return;
  }
  node.links -= 1;
  if (node.links === 0 && tree.rules.keepsCoveredLinks) node.countless = true;
}

export function unlink(tree: ModelTree, step: Step): Errno | undefined {
  const victim = tree.find(textOf(step, "path"), false);
  if ("code" in victim) return victim;
  const { directory, name } = tree;
  const refused = mayDelete(tree, directory, victim, false);
  if (refused !== undefined) return refused;
  loseName(tree, victim);
  directory.entries?.delete(name);
  directory.mtime = undefined;
  return undefined;
}

export function rmdir(tree: ModelTree, step: Step): Errno | undefined {
  const victim = tree.find(textOf(step, "path"), false);
  if ("code" in victim) return victim;
  if (victim === tree.root) return EBUSY;
  const { directory, name } = tree;
  const refused = mayDelete(tree, directory, victim, true);
  if (refused !== undefined) return refused;
  if (victim.entries?.size !== 0) return ENOTEMPTY;
  victim.covered ||= tree.isLower(victim);
  directory.entries?.delete(name);
  directory.mtime = undefined;
  return undefined;
}

interface Side {
  readonly directory: ModelNode;
  readonly name: string;
  readonly node: ModelNode | undefined;
}

function sideOf(tree: ModelTree): Side {
  return { directory: tree.directory, name: tree.name, node: tree.node };
}

function isAbove(above: ModelNode, below: ModelNode): boolean {
  for (let at = below; ; at = at.parent as ModelNode) {
    if (at === above) return true;
    if (at.parent === at || at.parent === undefined) return false;
  }
}

export function rename(tree: ModelTree, step: Step): Errno | undefined {
  const { flags } = step;
  const exchange = isList(flags) && flags.includes("EXCHANGE");
  const noreplace = isList(flags) && flags.includes("NOREPLACE");
  const lost = tree.walk(textOf(step, "path"), false);
  if (lost !== undefined) return lost;
  const source = sideOf(tree);
  const lostTarget = tree.walk(textOf(step, "to"), false);
  if (lostTarget !== undefined) return lostTarget;
  const target = sideOf(tree);
  if (source.node === undefined) return ENOENT;
  const wrong = renameError(source, target, { exchange, noreplace });
  if (wrong !== undefined) return wrong;
  if (source.node === target.node) return undefined;
  const refused = mayRename(tree, source, target, exchange);
  if (refused !== undefined) return refused;
  return move(tree, source, target, { exchange, noreplace });
}

/** Whether a name's removal hangs on whether it is on the writable branch: only then are the lower layers' permissions asked for. */
function hangsOnBranch(tree: ModelTree, path: string): boolean {
  return tree.walk(path, false) === undefined && tree.node !== undefined && !tree.maySearchBelow(tree.directory);
}

/** Whether the tree cannot say what removing a name gives. */
export function leavesOutRemoval(tree: ModelTree, step: Step): boolean {
  return tree.rules.asksLowerDirectories && hangsOnBranch(tree, textOf(step, "path"));
}

/** Whether the tree cannot say what a rename gives. */
export function leavesOutRename(tree: ModelTree, step: Step): boolean {
  if (leavesOutRemoval(tree, step)) return true;
  if (!tree.rules.exchangesByBranch || !isList(step["flags"]) || !step["flags"].includes("EXCHANGE")) return false;
  if (tree.walk(textOf(step, "to"), false) !== undefined) return false;
  const target = sideOf(tree);
  if (tree.walk(textOf(step, "path"), false) !== undefined) return false;
  const source = sideOf(tree);
  if (source.node === undefined || target.node === undefined) return false;
  if (source.node.type === "dir" || target.node.type === "dir") return true;
  const isCopied = source.directory === target.directory || source.directory === tree.root || !tree.isLower(source.directory);
  return !isCopied;
}

/** What needs no permission to be refused. */
function renameError(source: Side, target: Side, flags: { exchange: boolean; noreplace: boolean }): Errno | undefined {
  if (target.node !== undefined && flags.noreplace) return EEXIST;
  if (target.node === undefined && flags.exchange) return ENOENT;
  if (source.directory === target.directory) return undefined;
  if (source.node?.type === "dir" && isAbove(source.node, target.directory)) return EINVAL;
  if (target.node?.type === "dir" && isAbove(target.node, source.directory)) return flags.exchange ? EINVAL : ENOTEMPTY;
  return undefined;
}

function mayRename(tree: ModelTree, source: Side, target: Side, exchange: boolean): Errno | undefined {
  const moved = source.node as ModelNode;
  const isDirectory = moved.type === "dir";
  const refused = mayDelete(tree, source.directory, moved, isDirectory);
  if (refused !== undefined) return refused;
  const over = target.node;
  if (over === undefined) {
    if (!tree.may(target.directory, 3)) return EACCES;
  } else {
    const barred = mayDelete(tree, target.directory, over, exchange ? over.type === "dir" : isDirectory);
    if (barred !== undefined) return barred;
  }
  if (source.directory === target.directory) return undefined;
  if (isDirectory && !tree.may(moved, 2)) return EACCES;
  return exchange && over?.type === "dir" && !tree.may(over, 2) ? EACCES : undefined;
}

function move(tree: ModelTree, source: Side, target: Side, flags: { exchange: boolean; noreplace: boolean }): Errno | undefined {
  const moved = source.node as ModelNode;
  const over = target.node;
  const { exchange } = flags;
  if (!tree.rules.renameFlags && (exchange || flags.noreplace)) {
    tree.fire("rename takes no flags");
    return EINVAL;
  }
  const filled = !exchange && over?.entries !== undefined && over.entries.size > 0;
  if (filled && tree.rules.lowerDirectoryRename !== "EXDEV") return ENOTEMPTY;
  if (staysInPlace(tree, moved) || (exchange && staysInPlace(tree, over))) {
    tree.fire("rename of a lower directory");
    return EXDEV;
  }
  if (filled) return ENOTEMPTY;
  tree.change(moved);
  if (exchange && over !== undefined) {
    tree.change(over);
    place(source.directory, source.name, over);
  } else {
    source.directory.entries?.delete(source.name);
    if (over !== undefined) loseName(tree, over);
    // Opening a lower file for writing has not copied it up yet.
    if (over !== undefined && tree.rules.forgetsReplaced) over.covered = true;
  }
  if (moved.type === "dir" && tree.isLower(moved) && tree.rules.lowerDirectoryRename !== "ok") {
    moved.layer = tree.layer;
    moved.lowerNames = undefined;
  }
  place(target.directory, target.name, moved);
  source.directory.mtime = undefined;
  target.directory.mtime = undefined;
  return undefined;
}

/** Whether a directory cannot be renamed because of what lies in lower layers. */
function staysInPlace(tree: ModelTree, node: ModelNode | undefined): boolean {
  const rule = tree.rules.lowerDirectoryRename;
  if (rule === "ok" || node?.type !== "dir" || !tree.isLower(node)) return false;
  if (rule === "EXDEV") return true;
  for (const name of node.lowerNames ?? []) if (node.entries?.has(name)) return true;
  return false;
}

function place(directory: ModelNode, name: string, node: ModelNode): void {
  directory.entries?.set(name, node);
  if (node.entries !== undefined) node.parent = directory;
}
