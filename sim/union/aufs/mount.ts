/**
 * Mounting aufs: the checks of its branches, aufs's own files on the writable one, and branches that are appended later (fs/aufs/branch.c, wbr.c,
 * whout.c; spec/union.md section 10).
 *
 * Interface: one branch at most is writable, and it is the topmost: what Docker mounts. Branches are not written but through the mount.
 */
import type { Clock } from "../../core/clock.ts";
import { EINVAL, ENOTDIR, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import type { NameTable } from "../../core/names.ts";
import type { DeviceNumber } from "../../core/units.ts";
import { type FileSystem, type Inode, type NewInode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";
import { LowerView, VIEW_ROOT } from "../lower-view.ts";
import type { LowerViews } from "../lower-views.ts";
import { IS_DIRECTORY, NO_UPPER, ROOT_NODE } from "../nodes.ts";
import { OpenFiles } from "../open-files.ts";
import { AufsFileSystem } from "./filesystem.ts";
import { ORPHAN_FOLDER, PSEUDO_LINK_FOLDER, WHITEOUT_BASE } from "./names.ts";
import {
  type AufsFailure,
  type AufsOptions,
  BRANCHES_MAX,
  type BranchPermission,
  DEFAULT_OPTIONS,
  refuse,
  tooManyBranches,
} from "./options.ts";
import { AufsRules } from "./rules.ts";
import { Aufs, type Branch, type LowerBranches, type WritableBranch } from "./state.ts";
import { WHITEOUT_MODE } from "./whiteout.ts";

/** What a mount takes from its host. */
export interface AufsHost {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  /** The views that the host's mounts share. */
  readonly views: LowerViews;
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
  const refused = refuseBranches(branches);
  if (refused !== undefined) return refused;
  const top = branches[0]?.permission.writable === true ? branches[0] : undefined;
  const upper = top === undefined ? undefined : writableBranch(host, top, options);
  if (upper !== undefined && isErrno(upper)) return refuse(`${top?.path ?? ""} cannot be prepared`, upper);
  const lowers = top === undefined ? branches : branches.slice(1);
  const lower = lowers.length === 0 ? undefined : lowerBranches(host, lowers);
  top?.fs.hold(top.inode);
  const aufs = new Aufs({
    upper,
    lower,
    rules: lower?.rules ?? new AufsRules(host.names, []),
    options,
    names: host.names,
    clock: host.clock,
    events: host.events,
    label,
    device: host.newDevice(),
    files: new OpenFiles(),
    release: () => top?.fs.drop(top.inode),
  });
  const root = aufs.nodes.add(upper?.root ?? NO_UPPER, lower === undefined ? 0 : VIEW_ROOT, IS_DIRECTORY);
  aufs.nodes.setType(root, S_IFDIR);
  aufs.nodes.enterRoot(root);
  return new AufsFileSystem(aufs);
}

function refuseBranches(branches: readonly Branch[]): AufsFailure | undefined {
  if (branches.length === 0) return refuse("no branches");
  if (branches.length > BRANCHES_MAX) return tooManyBranches();
  for (const { fs, inode, path, permission } of branches) {
    if ((fs.mode(inode) & S_IFMT) !== S_IFDIR) return refuse(`${path} is no directory`, ENOTDIR);
    if (fs.stackDepth > 0) return refuse(`unsupported filesystem, ${path} (${fs.type})`);
    if (permission.writable && branches[0]?.inode !== inode) return refuse(`a writable branch below the topmost, ${path}`);
  }
  return refuseOverlaps(branches);
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

/** The writable branch with aufs's own entries in its root; those of an earlier mount are used again (au_wh_init). */
function writableBranch(host: AufsHost, { fs, inode: root, permission }: Branch, options: AufsOptions): WritableBranch | Errno {
  const own = (text: string, mode: number): Inode | Errno => {
    const name = host.names.intern(text);
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
  return { fs, root, whiteoutBase, pseudoLinks, orphans };
}

/** The branches below, whose merged view every mount over the same ones shares. */
function lowerBranches(host: AufsHost, branches: readonly Branch[]): LowerBranches {
  const layers: LayerDirectory[] = branches.map(({ fs, inode }) => ({ fs, inode }));
  const heeds = branches.map(({ permission }) => permission.whiteouts);
  const rules = new AufsRules(host.names, heeds);
  const key = `aufs,${heeds.map(Number).join("")}`;
  const view = host.views.acquire(layers, key, () => new LowerView(layers, rules, host.names));
  for (const { fs, inode } of layers) fs.hold(inode);
  const release = (): void => {
    for (const { fs, inode } of layers) fs.drop(inode);
    host.views.release(view, key);
  };
  return { view, rules, branches, release };
}

/**
 * Puts branches below the others of a mount (remount with append:). What was found before stays found; what was absent is looked up again.
 * @returns EINVAL for a writable one, and what mounting gives.
 */
export function appendBranches(host: AufsHost, { aufs }: AufsFileSystem, appended: readonly Branch[]): AufsFailure | undefined {
  const { nodes } = aufs;
  const before = aufs.lower;
  const top = aufs.upper === undefined ? [] : [topBranch(aufs.upper)];
  const lowers = [...(before?.branches ?? []), ...appended];
  const refused = refuseBranches([...top, ...lowers]);
  if (refused !== undefined) return refused;
  if (appended.some(({ permission }) => permission.writable)) return refuse("a writable branch is appended", EINVAL);
  if (nodes.size > 1) return refuse("branches are appended to a mount that is in use", EINVAL);
  const lower = lowerBranches(host, lowers);
  nodes.forgetEntries(ROOT_NODE);
  nodes.setLower(ROOT_NODE, VIEW_ROOT);
  aufs.lower = lower;
  aufs.rules = lower.rules;
  aufs.lowerLinks.clear();
  before?.release();
  return undefined;
}

function topBranch({ fs, root }: WritableBranch): Branch {
  const permission: BranchPermission = { writable: true, whiteouts: true, unlinkedWhiteouts: false, copyOnOpen: "" };
  return { fs, inode: root, path: "", permission };
}
