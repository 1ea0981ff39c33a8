/**
 * stat, chmod, chown, utimens, truncate and xattrs (fs/aufs/i_op.c, cpup.c, xattr.c; spec/union.md section 16 and part D, C2, C3, C9 and C10).
 */
import { assert } from "../../core/assert.ts";
import type { Time } from "../../core/clock.ts";
import { EFBIG, EINVAL, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import type { AttributeChange, Attributes, FileSystem, Inode, StatFs } from "../../vfs/filesystem.ts";
import type { AclChange } from "../../vfs/posix-acl.ts";
import { isBareNamespace } from "../../vfs/xattr.ts";
import { IS_DIRECTORY, type Node } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import type { Aufs } from "./state.ts";

/** The links of an empty directory: its name and its own ".". */
const OWN_LINKS = 2;

export function getattr(aufs: Aufs, node: Node, into: Attributes, tells = false): Errno | undefined {
  const { nodes } = aufs;
  const failed = aufs.fsOf(node).getattr(aufs.inodeOf(node), into, tells);
  if (failed !== undefined) return failed;
  if (aufs.displaced > 0) aufs.settle(node);
  into.device = aufs.device;
  into.inodeNumber = aufs.numberOf(node);
  if (nodes.has(node, IS_DIRECTORY)) {
    const below = linksBelow(aufs, node);
    if (isErrno(below)) return below;
    into.nlink += below;
  } else into.nlink = aufs.linkCounts.get(node) ?? into.nlink;
  if (tells && aufs.lostLinks.size > 0) aufs.lostLinks.delete(node);
  return undefined;
}

/** What the directories below the one that shows add to its links: the subdirectories that each has (C9). */
function linksBelow(aufs: Aufs, node: Node): number | Errno {
  const { nodes, lowerLinks } = aufs;
  const above = linksOnUppers(aufs, node);
  const lower = nodes.lowerOf(node);
  if (lower === 0 || isErrno(above)) return above;
  let sum = lowerLinks.get(lower);
  if (sum === undefined) {
    sum = 0;
    for (const { fs, inode } of aufs.view.stackOf(lower)) {
      const links = subdirectories(aufs, fs, inode);
      if (isErrno(links)) return links;
      sum += links;
    }
    lowerLinks.set(lower, sum);
  }
  if (nodes.hasUpper(node)) return above + sum;
  // The topmost one's own count is in stat already.
  const own = subdirectories(aufs, aufs.fsOf(node), aufs.inodeOf(node));
  return isErrno(own) ? own : sum - own;
}

/** How many subdirectories a branch's directory counts; where a filesystem does not count them, its one link (au_add_nlink). */
function subdirectories(aufs: Aufs, fs: FileSystem, inode: Inode): number | Errno {
  const failed = fs.getattr(inode, aufs.otherAttributes);
  if (failed !== undefined) return failed;
  const { nlink } = aufs.otherAttributes;
  return nlink < OWN_LINKS ? nlink : nlink - OWN_LINKS;
}

/** The same of the upper branches below its own. */
function linksOnUppers(aufs: Aufs, node: Node): number | Errno {
  let sum = 0;
  for (let branch = aufs.branchOf(node) + 1; branch < aufs.uppers.length; branch++) {
    const inode = aufs.inodeOn(node, branch);
    if (inode === undefined) continue;
    const links = subdirectories(aufs, aufs.upperAt(branch).fs, inode);
    if (isErrno(links)) return links;
    sum += links;
  }
  return sum;
}

/** The mount's granularity of times is a second (C2); the present, which the branch stamps itself, is exact. */
function granular(time: Time | "now"): Time | "now" {
  return time === "now" ? time : { seconds: time.seconds, nanoseconds: 0 };
}

/** The most bytes of a file: those of the topmost branch's filesystem (au_br_add, s_maxbytes). */
export function sizeMax({ branches }: Aufs): number {
  return branches[0]?.fs.positionMax?.() ?? Number.POSITIVE_INFINITY;
}

/** Copies up first; of a file that is cut, only what is kept. @returns EFBIG, before anything is done, for more than a file can have */
export function setattr(aufs: Aufs, node: Node, change: AttributeChange): Errno | undefined {
  const { size } = change;
  if (size !== undefined && size > sizeMax(aufs) && size > aufs.fsOf(node).size(aufs.inodeOf(node))) return EFBIG;
  const failed = copyUp(aufs, node, size === undefined ? {} : { length: size });
  if (failed !== undefined) return failed;
  const { atime, mtime } = change;
  const times = {
    ...(atime === undefined ? {} : { atime: granular(atime) }),
    ...(mtime === undefined ? {} : { mtime: granular(mtime) }),
  };
  return aufs.fsOf(node).setattr(aufs.inodeOf(node), { ...change, ...times });
}

/** Inodes of read-only branches keep their atime. */
export function touchAtime(aufs: Aufs, node: Node): void {
  if (aufs.isOnWritable(node)) aufs.fsOf(node).touchAtime(aufs.inodeOf(node));
}

/** An xattr and what setxattr does with it. */
export interface XattrChange {
  readonly name: string;
  readonly value: Uint8Array;
  readonly flags: number;
}

/** Copies up, also where it fails afterwards. */
export function setxattr(aufs: Aufs, node: Node, { name, value, flags }: XattrChange): Errno | undefined {
  const failed = copyUp(aufs, node);
  if (failed !== undefined || isBareNamespace(name)) return failed ?? EINVAL;
  return aufs.fsOf(node).setxattr(aufs.inodeOf(node), name, value, flags);
}

/**
 * Sets an xattr that is there to the empty value (C3): a file's capabilities too, whether they are removed or a change of owner or size ends them;
 * but what a write takes away, the branch's filesystem does (au_do_iter). Copies up, also where there is nothing to remove.
 */
export function removexattr(aufs: Aufs, node: Node, name: string, isWrite: boolean): Errno | undefined {
  const failed = copyUp(aufs, node);
  if (failed !== undefined || isBareNamespace(name)) return failed ?? EINVAL;
  const fs = aufs.fsOf(node);
  const inode = aufs.inodeOf(node);
  if (isWrite) return fs.removexattr(inode, name);
  const value = fs.getxattr(inode, name);
  return isErrno(value) ? value : fs.setxattr(inode, name, new Uint8Array(0), 0);
}

/** The branch's filesystem sets a list, or removes it, by its own rules (au_sxattr, AU_ACL_SET). Copies up, also where there is nothing to remove. */
export function setAcl(aufs: Aufs, node: Node, { kind, acl, mode }: AclChange): Errno | undefined {
  const failed = copyUp(aufs, node);
  if (failed !== undefined) return failed;
  const fs = aufs.fsOf(node);
  return fs.setAcl === undefined ? ENOTSUP : fs.setAcl(aufs.inodeOf(node), kind, acl, mode);
}

/**
 * The topmost branch's numbers; with the option sum those of all filesystems, each once and in the smallest block size, branches of one counting
 * as one (super.c, au_statfs_sum, aufs 6.x [S]).
 */
export function statfs({ branches, options }: Aufs): StatFs {
  const [first, ...others] = new Set((options.sum ? branches : branches.slice(0, 1)).map(({ fs }) => fs));
  assert(first !== undefined, "a mount has a branch");
  let sum = first.statfs();
  for (const fs of others) {
    const more = fs.statfs();
    const blockSize = Math.min(sum.blockSize, more.blockSize);
    const add = (count: "blocks" | "blocksFree" | "blocksAvailable"): number =>
      sum[count] * Math.trunc(sum.blockSize / blockSize) + more[count] * Math.trunc(more.blockSize / blockSize);
    sum = {
      ...sum,
      blockSize: bytes(blockSize),
      blocks: add("blocks"),
      blocksFree: add("blocksFree"),
      blocksAvailable: add("blocksAvailable"),
      files: sum.files + more.files,
      filesFree: sum.filesFree + more.filesFree,
    };
  }
  return sum;
}
