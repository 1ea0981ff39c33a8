/**
 * Mounting aufs: the checks of its branches, aufs's own files on the writable ones, and which branches are merged into one view (fs/aufs/branch.c,
 * wbr.c, whout.c; spec/union.md section 10).
 *
 * Interface: branches are not written but through the mount, and a writable one belongs to one mount.
 */
import type { Clock } from "../../core/clock.ts";
import { EDOM, ENOTDIR, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import type { NameTable } from "../../core/names.ts";
import type { DeviceNumber } from "../../core/units.ts";
import { type FileSystem, type Inode, type NewInode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { Vfs } from "../../vfs/vfs.ts";
import type { LayerDirectory } from "../layer.ts";
import { LowerView, VIEW_ROOT } from "../lower-view.ts";
import type { LowerViews } from "../lower-views.ts";
import { IS_DIRECTORY, NO_UPPER } from "../nodes.ts";
import { OpenFiles } from "../open-files.ts";
import { loadRenamed } from "./dirren.ts";
import { AufsFileSystem } from "./filesystem.ts";
import { ORPHAN_FOLDER, PSEUDO_LINK_FOLDER, WHITEOUT_BASE } from "./names.ts";
import { type AufsFailure, type AufsOptions, BRANCHES_MAX, DEFAULT_OPTIONS, refuse, tooManyBranches } from "./options.ts";
import { AufsRules } from "./rules.ts";
import { Aufs, type Branch, type BranchSet, type LowerBranches, type MountedBranch, type OwnEntries } from "./state.ts";
import { beginDirectAccess } from "./udba.ts";
import { WHITEOUT_MODE } from "./whiteout.ts";

/** What a mount takes from its host. */
export interface AufsHost {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  /** The views that the host's mounts share. */
  readonly views: LowerViews;
  /** Begins a watch on an inode; what it returns ends it. */
  readonly watch: Vfs["watch"];
  /** A device number that nothing has. */
  newDevice(): DeviceNumber;
}

export interface AufsMountOptions extends Partial<AufsOptions> {
  /** What events and reports call the mount. Default "aufs". */
  readonly label?: string;
}

/** Mounts branches, topmost first. */
export function mountAufs(
  host: AufsHost,
  branches: readonly Branch[],
  given: AufsMountOptions = {},
): AufsFileSystem | AufsFailure {
  const { label = "aufs", ...rest } = given;
  const options: AufsOptions = { ...DEFAULT_OPTIONS, ...rest };
  if (branches.length === 0) return refuse("no branches");
  if (branches.length > BRANCHES_MAX) return tooManyBranches();
  const refused = refuseBranches(branches);
  if (refused !== undefined) return refused;
  const mounted: MountedBranch[] = [];
  for (const branch of branches) {
    const made = mountBranch(host.names, branch, options);
    if ("errno" in made) return made;
    mounted.push(made);
  }
  for (const { fs, inode } of mounted) fs.hold(inode);
  const aufs = new Aufs({
    branches: branchSet(host, mounted, options),
    options,
    names: host.names,
    clock: host.clock,
    events: host.events,
    label,
    device: host.newDevice(),
    files: new OpenFiles(),
    watch: host.watch,
  });
  enterRoot(aufs);
  beginDirectAccess(aufs);
  return new AufsFileSystem(aufs);
}

/** Makes the mount's root of the branches' roots. */
function enterRoot(aufs: Aufs): void {
  const { nodes, uppers } = aufs;
  const root = nodes.add(uppers[0]?.inode ?? NO_UPPER, aufs.lower === undefined ? 0 : VIEW_ROOT, IS_DIRECTORY);
  if (uppers.length > 1)
    aufs.instances.set(
      root,
      uppers.map(({ inode }) => inode),
    );
  nodes.setType(root, S_IFDIR);
  nodes.enterRoot(root);
}

function refuseBranches(branches: readonly Branch[]): AufsFailure | undefined {
  for (const branch of branches) {
    const refused = refuseBranch(branch);
    if (refused !== undefined) return refused;
  }
  return refuseOverlaps(branches);
}

/** Why a folder cannot be a branch. */
function refuseBranch(branch: Branch): AufsFailure | undefined {
  const { fs, inode, path } = branch;
  if ((fs.mode(inode) & S_IFMT) !== S_IFDIR) return refuse(`${path} is no directory`, ENOTDIR);
  if (fs.stackDepth > 0) return refuse(`unsupported filesystem, ${path} (${fs.type})`);
  return refuseWriting(branch);
}

/** Nothing can be written where the mount is read-only (test_br). */
export function refuseWriting({ permission, readOnly, path }: Branch): AufsFailure | undefined {
  if (!permission.writable || readOnly !== true) return undefined;
  return refuse(`write permission for readonly mount or inode, ${path}`);
}

/** No branch may be, or lie within, another. */
function refuseOverlaps(branches: readonly Branch[]): AufsFailure | undefined {
  const seen = new Map<FileSystem, Set<Inode>>();
  for (const { fs, inode, path } of branches) {
    const inodes = seen.get(fs) ?? new Set<Inode>();
    if (inodes.has(inode)) return refuse(`${path} duplicated`);
    seen.set(fs, inodes.add(inode));
  }
  for (const { fs, inode, path } of branches) {
    for (let at = inode; at !== fs.root; ) {
      at = fs.parentOf(at);
      if (seen.get(fs)?.has(at)) return refuse(`${path} is overlapped`);
    }
  }
  return undefined;
}

/**
 * Whether a branch can be added to others at an index (test_add). @returns ENOSPC for one too many, EDOM for a bad index, EINVAL for what
 * overlaps or cannot be a branch.
 */
export function refuseAdding(branches: readonly Branch[], added: Branch, index: number): AufsFailure | undefined {
  if (branches.length >= BRANCHES_MAX || index >= BRANCHES_MAX) return tooManyBranches();
  if (index < 0 || index > branches.length) return refuse(`bad index ${index}`, EDOM);
  return refuseBranch(added) ?? refuseOverlaps([...branches, added]);
}

/** Prepares a branch for a mount. */
export function mountBranch(names: NameTable, branch: Branch, options: AufsOptions): MountedBranch | AufsFailure {
  const own = branch.permission.writable ? ownEntries(names, branch, options) : undefined;
  if (isErrno(own)) return refuse(`${branch.path} cannot be prepared`, own);
  const renamed = options.dirren ? loadRenamed(names, branch) : new Set<never>();
  return { ...branch, own, shared: new Map(), renamed };
}

/** aufs's own entries in the root of a writable branch; those of an earlier mount are used again (au_wh_init). */
export function ownEntries(names: NameTable, { fs, inode: root, permission }: Branch, options: AufsOptions): OwnEntries | Errno {
  const own = (text: string, mode: number): Inode | Errno => {
    const name = names.intern(text);
    const init: NewInode = { mode, uid: 0, gid: 0, rdev: 0, target: "" };
    const there = fs.lookup(root, name);
    return isErrno(there) ? fs.create(root, name, init) : there;
  };
  const whiteoutBase = permission.unlinkedWhiteouts ? undefined : own(WHITEOUT_BASE, WHITEOUT_MODE);
  if (isErrno(whiteoutBase)) return whiteoutBase;
  const pseudoLinks = options.plink ? own(PSEUDO_LINK_FOLDER, S_IFDIR | 0o700) : undefined;
  if (isErrno(pseudoLinks)) return pseudoLinks;
  const orphans = own(ORPHAN_FOLDER, S_IFDIR | 0o700);
  if (isErrno(orphans)) return orphans;
  return { whiteoutBase, pseudoLinks, orphans };
}

/** Takes them away again where a branch is not written any more; a folder that is not empty stays (au_wh_clean). */
export function removeOwnEntries(names: NameTable, { fs, inode: root }: Branch): void {
  const base = names.intern(WHITEOUT_BASE);
  if (!isErrno(fs.lookup(root, base))) fs.unlink(root, base);
  for (const folder of [PSEUDO_LINK_FOLDER, ORPHAN_FOLDER].map((text) => names.intern(text))) {
    if (!isErrno(fs.lookup(root, folder))) fs.rmdir(root, folder);
  }
}

/** Divides branches at the lowest writable one. Where they may be changed beside the mount, none may be merged into a view. */
export function branchSet(
  host: Pick<AufsHost, "names" | "views">,
  branches: readonly MountedBranch[],
  options: AufsOptions,
): BranchSet {
  const lowest =
    options.udba === undefined ? branches.findLastIndex(({ permission }) => permission.writable) : branches.length - 1;
  const uppers = branches.slice(0, lowest + 1);
  const lowers = branches.slice(lowest + 1);
  const heeds = lowers.map(({ permission }) => permission.whiteouts);
  const rules = new AufsRules(host.names, heeds, options.showWhiteouts);
  const lower = lowers.length === 0 ? undefined : lowerBranches(host, lowers, rules, heeds);
  return { branches, uppers, lower, rules };
}

/** The merged view of the branches below, which every mount over the same ones shares. */
function lowerBranches(
  host: Pick<AufsHost, "names" | "views">,
  branches: readonly Branch[],
  rules: AufsRules,
  heeds: readonly boolean[],
): LowerBranches {
  const layers: LayerDirectory[] = branches.map(({ fs, inode }) => ({ fs, inode }));
  const key = `aufs,${rules.showsWhiteouts ? "shwh," : ""}${heeds.map(Number).join("")}`;
  const view = host.views.acquire(layers, key, () => new LowerView(layers, rules, host.names));
  return { view, release: () => host.views.release(view, key) };
}
