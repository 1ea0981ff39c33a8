/**
 * Mounting aufs: the checks of its branches, aufs's own files on the writable ones, and which branches are merged into one view (fs/aufs/branch.c,
 * wbr.c, whout.c; spec/union.md section 10).
 *
 * Interface: branches are not written but through the mount, and a writable one belongs to one mount.
 */
import type { Clock } from "../../core/clock.ts";
import { EBUSY, EDOM, EEXIST, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
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

/** One change of a mount's branches; without an index a branch goes behind the last. */
export type BranchChange =
  | { readonly kind: "add"; readonly index: number | undefined; readonly branch: Branch }
  | { readonly kind: "del" | "mod"; readonly branch: Branch };

/** Mounts the branches that a list of changes comes to. */
export function mountAufs(
  host: AufsHost,
  changes: readonly BranchChange[],
  given: AufsMountOptions = {},
): AufsFileSystem | AufsFailure {
  const { label = "aufs", ...rest } = given;
  const options: AufsOptions = { ...DEFAULT_OPTIONS, ...rest };
  const branches = arrange(changes);
  if ("errno" in branches) return branches;
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

/** What a new mount's options make of no branches, topmost first (au_opts_mount). */
function arrange(changes: readonly BranchChange[]): readonly Branch[] | AufsFailure {
  const branches: Branch[] = [];
  const places = new BranchPlaces();
  for (const change of changes) {
    const { branch } = change;
    const at = placeAmong(branches, branch);
    let refused: AufsFailure | undefined;
    if (change.kind === "add") {
      const index = change.index ?? branches.length;
      refused = at >= 0 ? refuse(`${branch.path} duplicated`) : refuseAdding(branches, places, branch, index);
      branches.splice(index, 0, branch);
      places.add(branch);
    } else if (at < 0) refused = refuse(`${branch.path} no such branch`, ENOENT);
    else if (change.kind === "del") {
      refused = branches.length === 1 ? noneLeft() : undefined;
      branches.splice(at, 1);
      places.remove(branch);
    } else {
      refused = refuseWriting(branch);
      branches[at] = branch;
    }
    if (refused !== undefined) return refused;
  }
  return branches.length === 0 ? refuse("no branches") : branches;
}

/** The place of a branch's folder among branches; -1 for none. */
export function placeAmong(branches: readonly Branch[], { fs, inode }: Branch): number {
  return branches.findIndex((one) => one.fs === fs && one.inode === inode);
}

/** The refusal to take the last branch away. */
export function noneLeft(): AufsFailure {
  return refuse("no more branches left", EBUSY);
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

/** Why a folder cannot be a branch. */
function refuseBranch(branch: Branch): AufsFailure | undefined {
  const { fs, path } = branch;
  if (fs.type === "aufs") return refuse(`unsupported filesystem, ${path} (${fs.type})`);
  if (fs.stackDepth > 0) return refuse(`already stacked, ${path} (${fs.type})`);
  return refuseWriting(branch);
}

/** Nothing can be written where the mount is read-only (test_br). */
export function refuseWriting({ permission, readOnly, path }: Branch): AufsFailure | undefined {
  if (!permission.writable || readOnly !== true) return undefined;
  return refuse(`write permission for readonly mount or inode, ${path}`);
}

/** Where branches lie, so that none may be within another. */
export class BranchPlaces {
  readonly #branches = new Map<FileSystem, Set<Inode>>();
  /** The folders above branches, and how many of these lie below each. */
  readonly #above = new Map<FileSystem, Map<Inode, number>>();

  /** @param branches - which there are at first */
  constructor(branches: readonly Branch[] = []) {
    for (const branch of branches) this.add(branch);
  }

  add(branch: Branch): void {
    const among = this.#branches.get(branch.fs) ?? new Set<Inode>();
    this.#branches.set(branch.fs, among.add(branch.inode));
    this.#count(branch, 1);
  }

  remove(branch: Branch): void {
    this.#branches.get(branch.fs)?.delete(branch.inode);
    this.#count(branch, -1);
  }

  #count(branch: Branch, change: number): void {
    const counts = this.#above.get(branch.fs) ?? new Map<Inode, number>();
    this.#above.set(branch.fs, counts);
    for (const inode of foldersAbove(branch)) counts.set(inode, (counts.get(inode) ?? 0) + change);
  }

  /** Whether a folder lies within a branch, or one within it (test_overlap). */
  overlaps(branch: Branch): boolean {
    if ((this.#above.get(branch.fs)?.get(branch.inode) ?? 0) > 0) return true;
    const among = this.#branches.get(branch.fs);
    return among !== undefined && foldersAbove(branch).some((inode) => among.has(inode));
  }
}

function foldersAbove({ fs, inode }: Branch): Inode[] {
  const found: Inode[] = [];
  for (let at = inode; at !== fs.root; ) {
    at = fs.parentOf(at);
    found.push(at);
  }
  return found;
}

/**
 * Whether a branch can be added to others at an index (test_add). @returns ENOSPC for one too many, EDOM for a bad index, EINVAL for what
 * overlaps or cannot be a branch.
 */
export function refuseAdding(
  branches: readonly Branch[],
  places: BranchPlaces,
  added: Branch,
  index: number,
): AufsFailure | undefined {
  if (branches.length >= BRANCHES_MAX || index >= BRANCHES_MAX) return tooManyBranches();
  if (index < 0 || index > branches.length) return refuse(`bad index ${index}`, EDOM);
  return refuseBranch(added) ?? (places.overlaps(added) ? refuse(`${added.path} is overlapped`) : undefined);
}

/** Prepares a branch for a mount. */
export function mountBranch(names: NameTable, branch: Branch, options: AufsOptions): MountedBranch | AufsFailure {
  const own = branch.permission.writable ? ownEntries(names, branch, options) : undefined;
  if (isErrno(own)) return refuse(`an error(${-own.number}) on the writable branch ${branch.path}`, own);
  const renamed = options.dirren ? loadRenamed(names, branch) : new Set<never>();
  return { ...branch, own, shared: new Map(), renamed };
}

/**
 * aufs's own entries in the root of a writable branch; those of an earlier mount are used again, or taken away where there is no use for them
 * (au_wh_init). @returns EEXIST for something else under one of the names
 */
export function ownEntries(names: NameTable, { fs, inode: root, permission }: Branch, options: AufsOptions): OwnEntries | Errno {
  const own = (text: string, mode: number): Inode | Errno => {
    const name = names.intern(text);
    const init: NewInode = { mode, uid: 0, gid: 0, rdev: 0, target: "" };
    const there = fs.lookup(root, name);
    if (isErrno(there)) return fs.create(root, name, init);
    return ((fs.mode(there) ^ mode) & S_IFMT) === 0 ? there : EEXIST;
  };
  const without = (text: string): undefined => removeEntry(names, fs, root, text);
  const whiteoutBase = permission.unlinkedWhiteouts ? without(WHITEOUT_BASE) : own(WHITEOUT_BASE, WHITEOUT_MODE);
  if (isErrno(whiteoutBase)) return whiteoutBase;
  const pseudoLinks = options.plink ? own(PSEUDO_LINK_FOLDER, S_IFDIR | 0o700) : without(PSEUDO_LINK_FOLDER);
  if (isErrno(pseudoLinks)) return pseudoLinks;
  const orphans = own(ORPHAN_FOLDER, S_IFDIR | 0o700);
  if (isErrno(orphans)) return orphans;
  return { whiteoutBase, pseudoLinks, orphans };
}

/** Takes one of them away; a folder that is not empty stays, and what is of another kind (au_wh_clean). */
function removeEntry(names: NameTable, fs: FileSystem, root: Inode, text: string): undefined {
  const name = names.intern(text);
  const there = fs.lookup(root, name);
  if (isErrno(there)) return;
  const isFolder = (fs.mode(there) & S_IFMT) === S_IFDIR;
  if (isFolder !== (text !== WHITEOUT_BASE)) return;
  if (isFolder) fs.rmdir(root, name);
  else fs.unlink(root, name);
}

/** Takes them all away where a branch is not written any more (au_wh_init_ro). */
export function removeOwnEntries(names: NameTable, { fs, inode: root }: Branch): void {
  for (const text of [WHITEOUT_BASE, PSEUDO_LINK_FOLDER, ORPHAN_FOLDER]) removeEntry(names, fs, root, text);
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
