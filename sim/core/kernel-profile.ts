/**
 * Which kernel a host runs: behaviour that changed over time, as named flags. An engine asks a flag, never a version.
 *
 * Sources: spec/union.md, section 9 (versions), the histories of fs/overlayfs, fs/btrfs and fs/jbd2; 6.18 is what was recorded.
 */

/** How overlayfs behaves. */
export interface OverlayProfile {
  /** Copied-up objects carry trusted.overlay.origin, and their parents trusted.overlay.impure. */
  readonly originXattr: boolean;
  /** st_ino stays over copy-up where all layers are on one filesystem. */
  readonly constantInodeNumbers: boolean;
  /** A file opened for reading before its copy-up reads the copy afterwards. */
  readonly readOnlyFollowsCopyUp: boolean;
  /** A regular file is copied into a nameless inode and linked into place; else it has a name in the work directory. */
  readonly tmpfileCopyUp: boolean;
  /** All whiteouts of a mount are hard links to one inode. */
  readonly sharedWhiteoutInode: boolean;
  /** Copy-up steps over holes; else they become written zeros. */
  readonly sparseCopyUp: boolean;
  /** A copied-up file's data are flushed to the disk before it is linked into place. */
  readonly fsyncCopyUp: boolean;
  /** Copy-up shares extents where the backing filesystem can. */
  readonly cloneCopyUp: boolean;
  /** Each directory made in a merged directory is marked opaque; later only under redirect_dir, index, metacopy or xino. */
  readonly opaqueOnMkdir: boolean;
  /** overlay.* xattrs set through the mount are stored under an escaped name; before, nobody had any there. */
  readonly xattrEscape: boolean;
  /** Where nobody has any, reading and removing one is refused as setting it always was; before, there was none. */
  readonly ownXattrsRefused: boolean;
  /** And all three are not supported; before, not permitted. */
  readonly ownXattrsUnsupported: boolean;
  /** Copy-up takes the opaque mark of a lower directory along, with which what was below it is gone from the next mount on. */
  readonly opaqueCopyUp: boolean;
  /** Whiteouts that are empty regular files with an xattr. */
  readonly xattrWhiteouts: boolean;
  /** A mount over an upper layer that is new keeps its own UUID in trusted.overlay.uuid of the layer's root. */
  readonly instanceUuid: boolean;
  /** redirect_dir and following redirects. */
  readonly redirects: boolean;
  /** Immutable and append-only flags of upper files are an xattr, and copy-up takes flags along; before they were the file's own. */
  readonly flagsInXattr: boolean;
  /** Layers after `::` in lowerdir show no names and have data only. */
  readonly dataOnlyLayers: boolean;
  /** Options of mount are read as parameters of a filesystem context, which words what it refuses otherwise. */
  readonly fsContext: boolean;
  /** Options of mount that the kernel knows, beside those that each has. */
  readonly options: ReadonlySet<string>;
}

/** How btrfs behaves. */
export interface BtrfsProfile {
  /** Data chunks keep to extents of one size class. */
  readonly sizeClasses: boolean;
  /** The quota group of a subvolume goes with it; before it stayed, with nothing in it. */
  readonly dropsQgroups: boolean;
  /** A write reserves and copies up to 512 pages at once, as many as the task may make dirty before it has to pause; later page by page. */
  readonly writesBatches: boolean;
  /** A limit is changed only where the subvolume that is asked may change an item under the limit that holds. */
  readonly limitsReserve: boolean;
  /** Making a subvolume commits. */
  readonly commitsSubvolumes: boolean;
  /** Free space is discarded some time after the commit that freed it, unless the mount asks for something else. */
  readonly discardsLater: boolean;
  /** A chunk that was made for a promise goes again if nothing was put into it; and none goes that a promise counts on. */
  readonly dropsNewChunks: boolean;
}

/** How ext4 behaves. */
export interface Ext4Profile {
  /** The journal goes on behind where the last mount left it (JBD2_CYCLE_RECORD); before, each mount began at the log's first block. */
  readonly continuesLog: boolean;
  /** Large files are placed in as many streams as there are processors, by their inode numbers; before, all in one (s_mb_last_groups). */
  readonly streamsApart: boolean;
  /** Pages of its files are cached many at once, in folios (EXT4_MAX_PAGECACHE_ORDER). */
  readonly largeFolios: boolean;
  /** A search for free blocks takes the groups by how theirs lie (mb_optimize_scan); from 5.13 to 6.16 in lists whose order depends on what came before. */
  readonly optimizesScan: boolean;
  /** It asks for less before it looks through groups that have enough in shorter runs (CR_BEST_AVAIL_LEN). */
  readonly triesShorter: boolean;
  /** What makes a file longer writes zeros over the rest of its last block, where a mapped write may have left something (c7fc0366c656). */
  readonly zeroesOldEnd: boolean;
}

/** How xfs behaves. */
export interface XfsProfile {
  /** Writes bring pages in folios of several, whose dirty blocks are told apart. */
  readonly writesFolios: boolean;
}

/** How the VFS behaves. */
interface VfsProfile {
  /** ext4, xfs, btrfs and tmpfs tell two changes within one tick apart where somebody asked between them (FS_MGTIME). */
  readonly multigrainTimes: boolean;
}

export interface KernelProfile {
  /** As uname -r begins, such as "6.18". */
  readonly version: string;
  readonly vfs: VfsProfile;
  readonly overlay: OverlayProfile;
  readonly btrfs: BtrfsProfile;
  readonly ext4: Ext4Profile;
  readonly xfs: XfsProfile;
  /** Built with aufs, which is a patch: as the kernels were that Ubuntu and Debian made for Docker. */
  readonly aufs: boolean;
}

/** The release with which something came, or went. */
type Change = { readonly from: string } | { readonly until: string };
type Changes<Profile> = { readonly [Flag in keyof Profile as Profile[Flag] extends boolean ? Flag : never]: Change };

// ownXattrsUnsupported: so in the source of 4.14, and not in that of 4.9; from when on between them is not known.
const OVERLAY: Changes<OverlayProfile> = {
  originXattr: { from: "4.12" },
  constantInodeNumbers: { from: "4.12" },
  readOnlyFollowsCopyUp: { from: "4.19" },
  tmpfileCopyUp: { from: "4.11" },
  sharedWhiteoutInode: { from: "5.8" },
  sparseCopyUp: { from: "5.6" },
  fsyncCopyUp: { from: "4.9" },
  cloneCopyUp: { from: "4.10" },
  opaqueOnMkdir: { until: "5.15" },
  opaqueCopyUp: { until: "4.8" },
  xattrEscape: { from: "6.7" },
  ownXattrsRefused: { from: "4.9" },
  ownXattrsUnsupported: { from: "4.14" },
  xattrWhiteouts: { from: "6.7" },
  instanceUuid: { from: "6.6" },
  redirects: { from: "4.10" },
  flagsInXattr: { from: "5.15" },
  dataOnlyLayers: { from: "6.5" },
  fsContext: { from: "6.5" },
};

const OVERLAY_OPTIONS: Readonly<Record<string, string>> = {
  redirect_dir: "4.10",
  index: "4.13",
  nfs_export: "4.16",
  xino: "4.17",
  metacopy: "4.19",
  volatile: "5.10",
  userxattr: "5.11",
  uuid: "5.11",
  verity: "6.6",
  "lowerdir+": "6.8",
  "datadir+": "6.8",
  override_creds: "6.15",
  nooverride_creds: "6.15",
  fsync: "6.18",
};

// limitsReserve: recorded on 6.18, and not so in the source of 6.9; from when on between them is not known.
const BTRFS: Changes<BtrfsProfile> = {
  sizeClasses: { from: "6.3" },
  dropsQgroups: { from: "6.11" },
  writesBatches: { until: "6.14" },
  limitsReserve: { from: "6.18" },
  commitsSubvolumes: { until: "6.5" },
  discardsLater: { from: "6.2" },
  dropsNewChunks: { from: "6.8" },
};

const VFS: Changes<VfsProfile> = { multigrainTimes: { from: "6.13" } };

const EXT4: Changes<Ext4Profile> = {
  continuesLog: { from: "6.4" },
  streamsApart: { from: "6.17" },
  largeFolios: { from: "6.16" },
  optimizesScan: { from: "5.13" },
  triesShorter: { from: "6.5" },
  zeroesOldEnd: { from: "6.13" },
};

const XFS: Changes<XfsProfile> = { writesFolios: { from: "6.6" } };

/** The last release of each major version from 4 on: of 6, the last that was recorded. */
const LAST_MINOR: ReadonlyMap<number, number> = new Map([
  [4, 20],
  [5, 19],
  [6, 18],
]);

/** Major and minor number as one that orders releases; undefined for what is no release from 4.0 to 6.18. */
function release(version: string): number | undefined {
  const [major, minor] = /^(\d+)\.(0|[1-9]\d*)$/.exec(version)?.slice(1).map(Number) ?? [];
  const last = LAST_MINOR.get(major ?? 0);
  return major === undefined || minor === undefined || last === undefined || minor > last ? undefined : major * 100 + minor;
}

function isSince(kernel: number, version: string): boolean {
  return kernel >= (release(version) as number);
}

function flagsOf<Profile>(changes: Changes<Profile>, kernel: number): { [Flag in keyof Changes<Profile>]: boolean } {
  const flags = Object.entries<Change>(changes).map(([flag, change]) => [
    flag,
    "from" in change ? isSince(kernel, change.from) : !isSince(kernel, change.until),
  ]);
  return Object.fromEntries(flags) as { [Flag in keyof Changes<Profile>]: boolean };
}

/** The kernel of a release from 4.0 to 6.18, such as "5.15". What no flag tells is as in 6.18. @returns undefined for another text */
export function kernelProfile(version: string): KernelProfile | undefined {
  const kernel = release(version);
  if (kernel === undefined) return undefined;
  const options = Object.keys(OVERLAY_OPTIONS).filter((option) => isSince(kernel, OVERLAY_OPTIONS[option] as string));
  return {
    version,
    vfs: flagsOf<VfsProfile>(VFS, kernel),
    overlay: { ...flagsOf<OverlayProfile>(OVERLAY, kernel), options: new Set(options) },
    btrfs: flagsOf<BtrfsProfile>(BTRFS, kernel),
    ext4: flagsOf<Ext4Profile>(EXT4, kernel),
    xfs: flagsOf<XfsProfile>(XFS, kernel),
    aufs: true,
  };
}

/** Linux 6.18, the default. */
export const k6_18: KernelProfile = kernelProfile("6.18") as KernelProfile;
/** Linux 4.0, about when Docker began to use overlay. */
export const k4_0: KernelProfile = kernelProfile("4.0") as KernelProfile;
