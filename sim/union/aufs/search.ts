/**
 * Asking the branches for a name: the upper ones from the top down, then the merged view of those below (fs/aufs/dentry.c, au_lkup_dentry;
 * spec/union.md section 12).
 */
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type FileSystem, type Inode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ABSENT, WHITEOUT } from "../layer.ts";
import type { Node } from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import { type FormerNames, formerNames, lowerOfRenamed } from "./dirren.ts";
import type { Found } from "./found.ts";
import type { Aufs } from "./state.ts";

/**
 * Asks the branches for a name. @returns what they fail with: EIO where a whiteout's name is on no file, and where the directory's topmost branch has
 * the name and its whiteout too, unless udba=none believes what it finds (au_lkup_dentry).
 */
export function search(aufs: Aufs, directory: Node, name: Name, into: Found): Errno | undefined {
  const { uppers, rules, counters } = aufs;
  into.branch = -1;
  into.isWhited = false;
  into.lower = 0;
  into.instances.length = 0;
  let former: FormerNames | undefined;
  let asked = name;
  for (let branch = aufs.branchOf(directory); branch < uppers.length; branch++) {
    const inside = aufs.inodeOn(directory, branch);
    if (inside === undefined) continue;
    const { fs, permission } = aufs.upperAt(branch);
    counters.layerLookups += 1;
    asked = former?.nameOn(branch) ?? asked;
    const found = rules.find(fs, inside, asked, permission.whiteouts);
    if (isErrno(found)) return found;
    if (found === WHITEOUT) {
      into.isWhited = into.branch < 0;
      return branch === aufs.branchOf(directory) ? refuseBoth(aufs, fs, inside, asked) : undefined;
    }
    if (found === ABSENT || former?.isOther(branch, found as Inode) === true) continue;
    const ends = takeInstance(into, branch, found as Inode, (fs.mode(found as Inode) & S_IFMT) === S_IFDIR);
    if (ends) return undefined;
    if (into.instances[branch] === undefined) continue;
    const isOpaque = permission.whiteouts && rules.isOpaque(fs, found as Inode);
    if (isErrno(isOpaque)) return isOpaque;
    into.isOpaque = isOpaque;
    if (isOpaque) return undefined;
    if (aufs.options.dirren) former = formerNames(aufs, branch, found as Inode, former);
  }
  return searchBelow(aufs, directory, into, { name: asked, former });
}

/** Takes what a branch has: what is found first tells the type. @returns whether it ends the search. */
function takeInstance(into: Found, branch: number, inode: Inode, isDirectory: boolean): boolean {
  if (into.branch < 0) {
    into.branch = branch;
    into.inode = inode;
    into.isDirectory = isDirectory;
  }
  if (into.isDirectory && isDirectory) into.instances[branch] = inode;
  return !into.isDirectory;
}

interface BelowRequest {
  readonly name: Name;
  readonly former: FormerNames | undefined;
}

function searchBelow(aufs: Aufs, directory: Node, into: Found, { name, former }: BelowRequest): Errno | undefined {
  const below = aufs.nodes.lowerOf(directory);
  if (below === 0) return undefined;
  const { view } = aufs;
  let lower: ViewNode | Errno;
  if (aufs.options.dirren) lower = lowerOfRenamed(aufs, below, { name, former, isDirectory: into.branch >= 0 });
  else {
    lower = into.branch < 0 ? view.lookup(below, name) : view.lookupDirectory(below, name);
    aufs.counters.layerLookups += view.lastProbes;
  }
  if (isErrno(lower)) return lower;
  into.lower = lower;
  if (into.branch >= 0) return undefined;
  into.isDirectory = lower !== 0 && view.isDirectory(lower);
  const isTopmost = aufs.branchOf(directory) === aufs.uppers.length && !aufs.options.dirren;
  return lower === 0 && isTopmost ? refuseBoth(aufs, view.fsOf(below), view.inodeOf(below), name) : undefined;
}

/** Refuses a name that is absent though the directory's topmost branch has it. */
function refuseBoth({ options }: Aufs, fs: FileSystem, directory: Inode, name: Name): Errno | undefined {
  return options.udba !== "none" && !isErrno(fs.lookup(directory, name)) ? EIO : undefined;
}
