/**
 * Which kernel a host runs: behaviour that changed over time, as named flags. An engine asks a flag, never a version.
 *
 * Sources: spec/union.md, section 9 (versions) and the facts beside each flag there; k6_18 is what was recorded on Linux 6.18.
 */

/** How overlayfs behaves. */
export interface OverlayProfile {
  /** Copied-up objects carry trusted.overlay.origin, and their parents trusted.overlay.impure (from 4.12). */
  readonly originXattr: boolean;
  /** st_ino stays over copy-up (from 4.12 where all layers are on one filesystem). */
  readonly constantInodeNumbers: boolean;
  /** A file opened for reading before its copy-up reads the copy afterwards (from 4.19). */
  readonly readOnlyFollowsCopyUp: boolean;
  /** A regular file is copied into a nameless inode and linked into place (from 4.11); else it has a name in the work directory. */
  readonly tmpfileCopyUp: boolean;
  /** All whiteouts of a mount are hard links to one inode (from 5.8). */
  readonly sharedWhiteoutInode: boolean;
  /** Copy-up steps over holes (from 5.4); else they become written zeros. */
  readonly sparseCopyUp: boolean;
  /** A copied-up file's data are flushed to the disk before it is linked into place (from 4.9). */
  readonly fsyncCopyUp: boolean;
  /** Copy-up shares extents where the backing filesystem can (from 4.10). */
  readonly cloneCopyUp: boolean;
  /** Each directory made in a merged directory is marked opaque (before 6.18 whatever the options say). */
  readonly opaqueOnMkdir: boolean;
  /** overlay.* xattrs set through the mount are stored under an escaped name (from 6.7); before they were refused. */
  readonly xattrEscape: boolean;
  /** Whiteouts that are empty regular files with an xattr (from 6.7). */
  readonly xattrWhiteouts: boolean;
  /** redirect_dir and following redirects (from 4.10). */
  readonly redirects: boolean;
  /** The option "index" is known (from 4.13): Docker looks for the module's parameter of that name. */
  readonly indexOption: boolean;
  /** Immutable and append-only flags of upper files are an xattr, and copy-up takes flags along (from 5.15); before they were the file's own. */
  readonly flagsInXattr: boolean;
  /** Layers after `::` in lowerdir show no names and have data only (6.5). */
  readonly dataOnlyLayers: boolean;
}

/** How btrfs behaves. */
export interface BtrfsProfile {
  /** Data chunks keep to extents of one size class (from 6.2). */
  readonly sizeClasses: boolean;
  /** The quota group of a subvolume goes with it (from 6.11); before it stayed, with nothing in it. */
  readonly dropsQgroups: boolean;
  /** A write reserves and copies up to 512 pages at once (before 6.14), as many as the task may make dirty before it has to pause; later page by page. */
  readonly writesBatches: boolean;
  /** A limit is changed only where the subvolume that is asked may change an item under the limit that holds (recorded on 6.18; not in 6.9). */
  readonly limitsReserve: boolean;
  /** Making a subvolume commits (before 6.5). */
  readonly commitsSubvolumes: boolean;
}

export interface KernelProfile {
  /** As uname -r begins, such as "6.18". */
  readonly version: string;
  readonly overlay: OverlayProfile;
  readonly btrfs: BtrfsProfile;
  /** Built with aufs, which is a patch: as the kernels were that Ubuntu and Debian made for Docker. */
  readonly aufs: boolean;
}

/** Linux 6.18, the default. */
export const k6_18: KernelProfile = {
  version: "6.18",
  btrfs: { sizeClasses: true, dropsQgroups: true, writesBatches: false, limitsReserve: true, commitsSubvolumes: false },
  overlay: {
    originXattr: true,
    constantInodeNumbers: true,
    readOnlyFollowsCopyUp: true,
    tmpfileCopyUp: true,
    sharedWhiteoutInode: true,
    sparseCopyUp: true,
    fsyncCopyUp: true,
    cloneCopyUp: true,
    opaqueOnMkdir: false,
    xattrEscape: true,
    xattrWhiteouts: true,
    redirects: true,
    indexOption: true,
    flagsInXattr: true,
    dataOnlyLayers: true,
  },
  aufs: true,
};

/** Linux 4.0, about when Docker began to use overlay. */
export const k4_0: KernelProfile = {
  version: "4.0",
  btrfs: { sizeClasses: false, dropsQgroups: false, writesBatches: true, limitsReserve: false, commitsSubvolumes: true },
  overlay: {
    originXattr: false,
    constantInodeNumbers: false,
    readOnlyFollowsCopyUp: false,
    tmpfileCopyUp: false,
    sharedWhiteoutInode: false,
    sparseCopyUp: false,
    fsyncCopyUp: false,
    cloneCopyUp: false,
    opaqueOnMkdir: true,
    xattrEscape: false,
    xattrWhiteouts: false,
    redirects: false,
    indexOption: false,
    flagsInXattr: false,
    dataOnlyLayers: false,
  },
  aufs: true,
};
