/**
 * Which of several writable branches a new name or a copy goes to (fs/aufs/wbr_policy.c, aufs 6.x [S]; aufs(5), "Policies to Select One among
 * Multiple Writable Branches"; spec/union.md section 14).
 *
 * Interface: an answer is the index of a writable upper branch, or EROFS. With one upper branch, which is what Docker mounts, it is that one.
 * Free space is looked at when a policy asks for it and its last look is older than it may be; until then the figures of that look count.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Node, ROOT_NODE } from "../nodes.ts";
import { whiteoutBranch } from "./lookup.ts";
import type { Aufs } from "./state.ts";

const NANOSECONDS_A_SECOND = 1_000_000_000;

/** The nearest writable branch from one upwards (au_wbr_bu). */
export function nearestWritable(aufs: Aufs, from: number): number | Errno {
  for (let branch = Math.min(from, aufs.uppers.length - 1); branch >= 0; branch--) if (aufs.isWritable(branch)) return branch;
  return EROFS;
}

/** Never below a branch on which a folder above the directory is opaque (au_wbr_nonopq). */
function aboveOpaque(aufs: Aufs, directory: Node, branch: number | Errno): number | Errno {
  if (isErrno(branch)) return branch;
  let highest = branch;
  for (let at = directory; at !== ROOT_NODE; ) {
    at = aufs.nodes.parentOf(at);
    const opaque = aufs.opaqueBranch(at);
    if (opaque >= 0) highest = Math.min(highest, opaque);
  }
  return highest;
}

/** The topmost branch that has the directory, from the branch of the name upwards (au_wbr_create_tdp). @param top - where the name is. */
function topDownParent(aufs: Aufs, directory: Node, top: number): number | Errno {
  if (aufs.isWritable(top)) return top;
  for (let branch = aufs.branchOf(directory); branch < Math.min(top, aufs.uppers.length); branch++) {
    if (aufs.isWritable(branch) && aufs.inodeOn(directory, branch) !== undefined) return branch;
  }
  return aboveOpaque(aufs, directory, nearestWritable(aufs, top - 1));
}

/** The nearest branch upwards that has the directory (au_wbr_copyup_bup). */
function bottomUpParent(aufs: Aufs, directory: Node, top: number): number | Errno {
  const highest = aufs.branchOf(directory);
  for (let branch = Math.min(top, aufs.uppers.length - 1); branch >= highest; branch--) {
    if (aufs.isWritable(branch) && aufs.inodeOn(directory, branch) !== undefined) return branch;
  }
  return nearestWritable(aufs, highest - 1);
}

/**
 * Where a name's object is copied to, or its whiteout made. @param top - the branch of the name, or of its directory where the name is absent.
 * @returns EROFS where no branch at or above is writable.
 */
export function copyUpBranch(aufs: Aufs, directory: Node, top: number): number | Errno {
  if (aufs.uppers.length === 1) return nearestWritable(aufs, 0);
  switch (aufs.options.copyUp) {
    case "bu":
      return nearestWritable(aufs, top);
    case "bup":
      return bottomUpParent(aufs, directory, top);
    default:
      return topDownParent(aufs, directory, top);
  }
}

/**
 * Where a new name is made (au_wr_dir): where the policy says, or, if that cannot be written, where copies go. @param name - undefined for a file
 * without one
 */
export function createBranch(aufs: Aufs, directory: Node, name: Name | undefined, isDirectory: boolean): number | Errno {
  if (aufs.uppers.length === 1) return nearestWritable(aufs, 0);
  const chosen = byPolicy(aufs, { directory, name, isDirectory });
  if (!isErrno(chosen) && aufs.isWritable(chosen)) return chosen;
  return copyUpBranch(aufs, directory, aufs.branchOf(directory));
}

/** A name that is to be made. */
interface NewName {
  readonly directory: Node;
  readonly name: Name | undefined;
  readonly isDirectory: boolean;
}

function byPolicy(aufs: Aufs, made: NewName): number | Errno {
  switch (aufs.options.create.kind) {
    case "rr":
      return roundRobin(aufs, made);
    case "mfs":
      return mostFreeSpace(aufs, made, undefined);
    case "mfsrr":
      return mostFreeThenRoundRobin(aufs, made, undefined);
    case "tdmfs":
      return topDownMostFree(aufs, made);
    case "pmfs":
      return parentMostFree(aufs, made, undefined);
    case "pmfsrr": {
      const chosen = parentMostFree(aufs, made, made.directory);
      if (isErrno(chosen) || (aufs.policies.free[chosen] ?? 0) >= aufs.options.create.limit) return chosen;
      return mostFreeThenRoundRobin(aufs, made, undefined);
    }
    default:
      return topDownParent(aufs, made.directory, aufs.branchOf(made.directory));
  }
}

/**
 * What every policy but tdp gives way to: a whiteout of the name, or an opaque directory, on a branch that a lower choice would be hidden by. On
 * a read-only branch, the nearest writable one above takes the name (aufs(5), "Exceptions for Policies"; the source would go on by the policy, to
 * a name that nobody can see).
 */
function exception(aufs: Aufs, { directory, name }: NewName): number | Errno | undefined {
  const hiding = [whiteoutOf(aufs, directory, name), aufs.opaqueBranch(directory)].filter((branch) => branch >= 0);
  if (hiding.length === 0) return undefined;
  const branch = aboveOpaque(aufs, directory, Math.min(...hiding));
  return isErrno(branch) ? branch : nearestWritable(aufs, branch);
}

function whiteoutOf(aufs: Aufs, directory: Node, name: Name | undefined): number {
  return name === undefined ? -1 : whiteoutBranch(aufs, directory, name);
}

/** Files in turn from the lowest writable branch upwards; directories go where the next file would (au_wbr_create_rr). */
function roundRobin(aufs: Aufs, made: NewName): number | Errno {
  const forced = exception(aufs, made);
  if (forced !== undefined) return forced;
  const { policies } = aufs;
  const count = aufs.branches.length;
  if (policies.turn === undefined) {
    const lowest = nearestWritable(aufs, count - 1);
    policies.turn = isErrno(lowest) ? 0 : -lowest;
  }
  for (let tries = 0; tries < count; tries++) {
    // The kernel counts down in 32 bits, leaving 0 out, and takes the remainder without the sign.
    if (!made.isDirectory && policies.turn === 0) policies.turn -= 1;
    const branch = (policies.turn >>> 0) % count;
    if (!made.isDirectory) policies.turn -= 1;
    if (aufs.isWritable(branch)) return aboveOpaque(aufs, made.directory, branch);
  }
  return EROFS;
}

/** Looks for the branch with most free space, of equal ones the lower (au_mfs). @param among - only branches that have this directory. */
function lookForSpace(aufs: Aufs, among: Node | undefined): void {
  const { policies, uppers } = aufs;
  policies.fullest = -1;
  policies.mostBytes = 0;
  for (const [branch, { fs, permission }] of uppers.entries()) {
    if (!permission.writable || (among !== undefined && aufs.inodeOn(among, branch) === undefined)) continue;
    const { blockSize, blocksAvailable } = fs.statfs();
    const bytes = blockSize * blocksAvailable;
    policies.free[branch] = bytes;
    if (bytes < policies.mostBytes) continue;
    policies.mostBytes = bytes;
    policies.fullest = branch;
    policies.lookedAt = aufs.clock.now;
  }
}

/** Looks for space unless the last look still holds. */
function refreshSpace(aufs: Aufs, among: Node | undefined): void {
  const { policies, options } = aufs;
  const holds = policies.lookedAt + options.create.seconds * NANOSECONDS_A_SECOND;
  if (policies.fullest < 0 || aufs.clock.now > holds) lookForSpace(aufs, among);
}

function mostFreeSpace(aufs: Aufs, made: NewName, among: Node | undefined): number | Errno {
  const forced = exception(aufs, made);
  if (forced !== undefined) return forced;
  refreshSpace(aufs, among);
  const { fullest } = aufs.policies;
  return aboveOpaque(aufs, made.directory, fullest < 0 ? EROFS : fullest);
}

function mostFreeThenRoundRobin(aufs: Aufs, made: NewName, among: Node | undefined): number | Errno {
  const chosen = mostFreeSpace(aufs, made, among);
  if (isErrno(chosen) || aufs.policies.mostBytes >= aufs.options.create.limit) return chosen;
  return roundRobin(aufs, made);
}

/** The topmost branch with more space than the limit, whether it has the directory or not (au_wbr_create_tdmfs). */
function topDownMostFree(aufs: Aufs, { directory, name }: NewName): number | Errno {
  refreshSpace(aufs, undefined);
  const whiteout = whiteoutOf(aufs, directory, name);
  const tail = Math.min(aufs.tailOf(directory), aufs.uppers.length - 1);
  const lowest = aboveOpaque(aufs, directory, whiteout >= 0 ? Math.min(tail, whiteout) : tail);
  if (isErrno(lowest)) return lowest;
  for (let branch = 0; branch <= lowest; branch++) {
    if (aufs.isWritable(branch) && (aufs.policies.free[branch] ?? 0) > aufs.options.create.limit) return branch;
  }
  return aufs.policies.fullest < 0 ? EROFS : aufs.policies.fullest;
}

/** Of the branches that have the directory, the one with most space, of equal ones the upper (au_wbr_create_pmfs). */
function parentMostFree(aufs: Aufs, made: NewName, among: Node | undefined): number | Errno {
  const { directory } = made;
  const top = aufs.branchOf(directory);
  const parent = topDownParent(aufs, directory, top);
  if (isErrno(parent) || top === aufs.tailOf(directory)) return parent;
  if (isErrno(mostFreeSpace(aufs, made, among))) return parent;
  const { free } = aufs.policies;
  let chosen = parent;
  for (let branch = top; branch < aufs.uppers.length; branch++) {
    if (aufs.inodeOn(directory, branch) === undefined || !aufs.isWritable(branch)) continue;
    if ((free[branch] ?? 0) > (free[chosen] ?? 0)) chosen = branch;
  }
  return aboveOpaque(aufs, directory, chosen);
}
