/**
 * Mounting an overlay: the checks of its layers, the work directory, and the mount's state (fs/overlayfs/super.c; union.md section 8).
 */
import type { Clock } from "../../core/clock.ts";
import { EBUSY, ELOOP, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import { type KernelProfile, k6_18 } from "../../core/kernel-profile.ts";
import type { NameTable } from "../../core/names.ts";
import { Random } from "../../core/random.ts";
import type { DeviceNumber } from "../../core/units.ts";
import type { FileSystem, Inode } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";
import { LowerView, VIEW_ROOT } from "../lower-view.ts";
import type { LowerViews } from "../lower-views.ts";
import { IS_DIRECTORY, NO_UPPER } from "../nodes.ts";
import { OpenFiles } from "../open-files.ts";
import { OverlayFileSystem } from "./filesystem.ts";
import type { InUse } from "./in-use.ts";
import { verifyIndex } from "./index-verify.ts";
import {
  DEFAULT_OPTIONS,
  isMountFailure,
  LOWER_LAYERS_MAX,
  type MountFailure,
  type OverlayOptions,
  parseOptions,
  refuse,
  refuseOption,
} from "./options.ts";
import { type FollowRedirects, isDirectoryMode, OverlayRules } from "./rules.ts";
import { Overlay, type UpperLayer } from "./state.ts";
import { prepareWork } from "./work-directory.ts";
import { type OverlayXattrs, TRUSTED_XATTRS, USER_XATTRS } from "./xattrs.ts";

/** The most filesystems that can be stacked (FILESYSTEM_MAX_STACK_DEPTH). */
const STACK_DEPTH_MAX = 2;

/** What a mount takes from its host. */
export interface OverlayHost {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly profile?: KernelProfile;
  /** The views that the host's mounts share. */
  readonly views: LowerViews;
  /** The upper and work directories of the host's mounts. */
  readonly inUse: InUse;
  /** A device number that nothing has: for the mount, and for each filesystem below where they are several. */
  newDevice(): DeviceNumber;
}

/** The layers of a mount. */
export interface OverlayLayers {
  /** Topmost first. */
  readonly lower: readonly LayerDirectory[];
  /** Layers that show no names: they have data of files that the lowest layer has without them. Default: none. */
  readonly dataOnly?: readonly LayerDirectory[];
  readonly upper?: LayerDirectory | undefined;
  readonly work?: LayerDirectory | undefined;
}

export interface OverlayMountOptions extends Partial<OverlayOptions> {
  /** What events and reports call the mount. Default "overlay". */
  readonly label?: string;
}

/** Mounts an overlay over directories of other filesystems. */
export function mountOverlay(
  host: OverlayHost,
  layers: OverlayLayers,
  given: OverlayMountOptions = {},
): OverlayFileSystem | MountFailure {
  const { label = "overlay", ...rest } = given;
  const asked: OverlayOptions = { ...DEFAULT_OPTIONS, ...rest };
  const options = withoutHandles(layers) ? { ...asked, index: false, nfsExport: false } : asked;
  const refused = refuseLayers(layers);
  if (refused !== undefined) return refused;
  const profile = (host.profile ?? k6_18).overlay;
  const xattrs = options.userxattr ? USER_XATTRS : TRUSTED_XATTRS;
  const follow: FollowRedirects = !profile.redirects ? "ignore" : options.redirectDir === "nofollow" ? "refuse" : "follow";
  const rules = new OverlayRules(xattrs, follow, { xattrWhiteouts: profile.xattrWhiteouts, metacopy: options.metacopy });
  const claims = claimDirectories(host.inUse, layers, { upper: asked.index, lower: options.index });
  if (isMountFailure(claims)) return claims;
  const upper = upperLayer(host, layers, { ...options, xattrs });
  if (upper !== undefined && isMountFailure(upper)) {
    for (const claim of claims) host.inUse.release(claim);
    return upper;
  }
  const dataOnly = layers.dataOnly ?? [];
  const key = `overlay,${xattrs.prefix},${follow},${profile.xattrWhiteouts},${options.metacopy}`;
  const view = host.views.acquire(layers.lower, key, () => new LowerView(layers.lower, rules, host.names, dataOnly), dataOnly);
  const held: LayerDirectory[] = [...layers.lower, ...dataOnly];
  if (upper !== undefined) held.push({ fs: upper.fs, inode: upper.root }, { fs: upper.fs, inode: upper.work });
  for (const { fs, inode } of held) fs.hold(inode);
  const overlay = new Overlay({
    upper,
    view,
    rules,
    xattrs,
    options,
    profile,
    names: host.names,
    clock: host.clock,
    events: host.events,
    label,
    device: host.newDevice(),
    devices: devicesOf(host, layers),
    files: new OpenFiles(),
    release: () => {
      for (const { fs, inode } of held) fs.drop(inode);
      for (const claim of claims) host.inUse.release(claim);
      host.views.release(view, key);
    },
  });
  // What it was copied from is not known: the upper layer's own root tells its number (ovl_get_root).
  const root = overlay.addNode(upper?.root ?? NO_UPPER, VIEW_ROOT, IS_DIRECTORY);
  overlay.nodes.enterRoot(root);
  const mismatch = upper?.index === undefined ? undefined : verifyIndex(overlay);
  if (mismatch === undefined) return new OverlayFileSystem(overlay);
  overlay.end();
  return refuse(`failed index dir cleanup (${-mismatch.number})`, mismatch);
}

/** Mounts an overlay from mount(8)'s text. @param resolve - the directory that a path names, as the kernel's walk finds it. */
export function mountOverlayPaths(
  host: OverlayHost,
  text: string,
  resolve: (path: string) => LayerDirectory | Errno,
): OverlayFileSystem | MountFailure {
  const profile = (host.profile ?? k6_18).overlay;
  const parsed = parseOptions(text, profile, (path, written): LayerDirectory | MountFailure => {
    const directory = resolve(path);
    if (isErrno(directory)) return refuse(`failed to resolve '${path}': ${-directory.number}`, directory);
    return refusePath(path, directory, written) ?? directory;
  });
  if (isMountFailure(parsed)) return parsed;
  const { options, ...layers } = parsed;
  if (layers.dataOnly.length > 0 && !profile.dataOnlyLayers) return refuse("empty lowerdir");
  return mountOverlay(host, layers, options);
}

/** What a path cannot lead to (ovl_mount_dir_check). @param written - whether it is the upper layer's or the work directory's. */
function refusePath(path: string, { fs, inode, readOnly }: LayerDirectory, written: boolean): MountFailure | undefined {
  if (!isDirectoryMode(fs.mode(inode))) return refuseOption(`${path} is not a directory`);
  if (!written) return undefined;
  if (fs.type === "overlay") return refuseOption(`filesystem on ${path} not supported as upperdir`);
  return readOnly === true ? refuseOption(`filesystem on ${path} is read-only`) : undefined;
}

/**
 * Whether a layer's files have no handles by which an index could name them, as in an overlay that is not exported: the mount does without one then
 * (ovl_lower_dir and ovl_make_workdir: "falling back to index=off,nfs_export=off").
 */
function withoutHandles({ lower, dataOnly = [], upper }: OverlayLayers): boolean {
  return [...lower, ...dataOnly, ...(upper === undefined ? [] : [upper])].some(({ fs }) => fs.handles === undefined);
}

/** What the kernel refuses, in its order. */
function refuseLayers({ lower: shown, dataOnly = [], upper, work }: OverlayLayers): MountFailure | undefined {
  const lower = [...shown, ...dataOnly];
  if (lower.length === 0) return refuse("missing 'lowerdir'");
  if (lower.length > LOWER_LAYERS_MAX) return refuse(`too many lower directories, limit is ${LOWER_LAYERS_MAX}`);
  const unfit = upper === undefined ? undefined : refuseWork(upper, work);
  if (unfit !== undefined) return unfit;
  if (upper === undefined && lower.length < 2) return refuse("at least 2 lowerdir are needed while upperdir nonexistent");
  if (shown.length === 0) return refuse("at least one non-data lowerdir is required");
  for (const { fs } of upper === undefined ? lower : [...lower, upper]) {
    if (fs.stackDepth >= STACK_DEPTH_MAX) return refuse("maximum fs stacking depth exceeded");
  }
  return refuseOverlaps(lower, upper === undefined || work === undefined ? [] : [upper, work]);
}

/** Why a directory cannot be the work directory of an upper layer (ovl_get_workdir). */
function refuseWork(upper: LayerDirectory, work: LayerDirectory | undefined): MountFailure | undefined {
  if (work === undefined) return refuse("missing 'workdir'");
  if (work.fs !== upper.fs) return refuse("workdir and upperdir must reside under the same mount");
  const overlap = isWithin(work, upper) || isWithin(upper, work);
  return overlap ? refuse("workdir and upperdir must be separate subtrees") : undefined;
}

/**
 * No lower layer may be, or lie within, another, or a directory that the mount writes to; those may lie within a lower layer (ovl_setup_trap,
 * ovl_check_overlapping_layers).
 */
function refuseOverlaps(lower: readonly LayerDirectory[], written: readonly LayerDirectory[]): MountFailure | undefined {
  const seen = new Map<FileSystem, Set<Inode>>();
  for (const { fs, inode } of [...written, ...lower]) {
    const inodes = seen.get(fs) ?? new Set<Inode>();
    if (inodes.has(inode)) return refuse("conflicting lowerdir path", ELOOP);
    seen.set(fs, inodes.add(inode));
  }
  for (const layer of lower) {
    const { fs } = layer;
    for (let at = layer.inode; at !== fs.root; ) {
      at = fs.parentOf(at);
      if (seen.get(fs)?.has(at)) return refuse("overlapping lowerdir path", ELOOP);
    }
  }
  return undefined;
}

/** Whether a directory is, or lies within, another. */
function isWithin(one: LayerDirectory, other: LayerDirectory): boolean {
  if (one.fs !== other.fs) return false;
  for (let at = one.inode; ; at = one.fs.parentOf(at)) {
    if (at === other.inode) return true;
    if (at === one.fs.root) return false;
  }
}

/** The pseudo devices of the filesystems that take part, the upper one first: none are needed where they are one. */
function devicesOf(host: OverlayHost, layers: OverlayLayers): ReadonlyMap<FileSystem, DeviceNumber> {
  const filesystems = new Set<FileSystem>();
  if (layers.upper !== undefined) filesystems.add(layers.upper.fs);
  for (const { fs } of [...layers.lower, ...(layers.dataOnly ?? [])]) filesystems.add(fs);
  const devices = new Map<FileSystem, DeviceNumber>();
  if (filesystems.size > 1) for (const fs of filesystems) devices.set(fs, host.newDevice());
  return devices;
}

/**
 * Claims the upper and the work directory. Where another mount has one, or has a lower layer as its own, index=on refuses; otherwise the
 * kernel only warns. Of its lower layers it asks when it has fallen back to no index already.
 */
function claimDirectories(
  inUse: InUse,
  layers: OverlayLayers,
  refuses: { readonly upper: boolean; readonly lower: boolean },
): readonly LayerDirectory[] | MountFailure {
  const claims: LayerDirectory[] = [];
  const inUseAs = (name: string): MountFailure => {
    for (const claim of claims) inUse.release(claim);
    const advice = "mount with '-o index=off' to override exclusive upperdir protection.";
    return refuse(`${name} is in-use as upperdir/workdir of another mount, ${advice}`, EBUSY);
  };
  const lowerInUse = layers.lower.some((layer) => inUse.covers(layer));
  for (const [name, directory] of [
    ["upperdir", layers.upper],
    ["workdir", layers.work],
  ] as const) {
    if (directory === undefined) continue;
    if (inUse.claim(directory)) claims.push(directory);
    else if (refuses.upper) return inUseAs(name);
  }
  return lowerInUse && refuses.lower ? inUseAs("lowerdir") : claims;
}

/** The upper layer with its work directories; undefined for a mount without one. */
function upperLayer(
  host: OverlayHost,
  { upper, work: base, lower: [lower] }: OverlayLayers,
  options: OverlayOptions & { readonly xattrs: OverlayXattrs },
): UpperLayer | MountFailure | undefined {
  if (upper === undefined || base === undefined || lower === undefined) return undefined;
  const uuid = (host.profile ?? k6_18).overlay.instanceUuid ? newUuid(host.clock.now + upper.inode + base.inode) : undefined;
  const made = prepareWork({ names: host.names, xattrs: options.xattrs, upper, work: base, lower, uuid }, options);
  return isMountFailure(made) ? made : { fs: base.fs, root: upper.inode, ...made };
}

/** A UUID of the random kind (uuid_gen). */
function newUuid(seed: number): Uint8Array {
  const uuid = new Random(seed).bytes(16);
  uuid[6] = ((uuid[6] as number) & 0x0f) | 0x40;
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80;
  return uuid;
}
