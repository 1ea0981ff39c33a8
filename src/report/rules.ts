/**
 * The rules behind what the simulated kernel and drivers do, each by an id with its source, and when an event or an answer is a case of it.
 *
 * Interface: a rule is chosen by what happened (the event, the filesystem, the call and its errno), never by a driver's name. Ids are stable.
 */
import type { SimEvent } from "../../sim/core/events.ts";

export interface Rule {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly sources: readonly string[];
  /** Whether an event is a case of it; absent: it is told by its errno alone. */
  readonly holds?: (event: SimEvent) => boolean;
  /** The errno that it explains. */
  readonly errno?: string;
}

/** Whether an event is a call with an errno, on a filesystem, by one of some calls. */
function refused(event: SimEvent, errno: string, filesystem: string, calls: RegExp): boolean {
  return event.op === "call" && event.result === errno && event.filesystem === filesystem && calls.test(event.call);
}

/** Whether the event is this one, on filesystems whose label begins so. */
function on(event: SimEvent, op: SimEvent["op"], label: string): boolean {
  return event.op === op && "filesystem" in event && event.filesystem.startsWith(label);
}

export const RULES: readonly Rule[] = [
  {
    id: "ovl.rename.lower-dir",
    title: "A directory of a lower layer is not renamed",
    text: "Without redirect_dir an overlay directory that lies in a lower layer, alone or merged, has no way to say where its lower part now is: rename answers EXDEV, as between two filesystems. A directory that was made in the upper layer is renamed. mv copies then, and removes.",
    sources: ["fs/overlayfs/dir.c, ovl_rename and ovl_can_move (6.18)"],
    errno: "EXDEV",
    holds: (event) => refused(event, "EXDEV", "overlay", /^rename/),
  },
  {
    id: "aufs.rename.children",
    title: "aufs renames a directory only where nothing of it lies below",
    text: "aufs can rename a directory of a lower branch while it has no children there; with children it answers EXDEV.",
    sources: ["fs/aufs/i_op_ren.c, may_rename_srcdir"],
    errno: "EXDEV",
    holds: (event) => refused(event, "EXDEV", "aufs", /^rename/),
  },
  {
    id: "ovl.copy-up",
    title: "The first change of a lower file copies all of it",
    text: "A union mount has no finer grain than a file. Opening a lower file for writing, or changing its mode, owner, times, attributes or links, first copies it, parents before it, to the upper layer: data, attributes and times, with an fsync before the copy gets its name. metacopy leaves the data below until it is written.",
    sources: ["fs/overlayfs/copy_up.c (6.18)"],
    holds: (event) => on(event, "copyUp", "overlay"),
  },
  {
    id: "aufs.copy-up",
    title: "aufs copies a file up to the writable branch before it changes",
    text: "As in overlayfs the whole file is copied, holes kept; its parents are made there too.",
    sources: ["fs/aufs/cpup.c"],
    holds: (event) => on(event, "copyUp", "aufs"),
  },
  {
    id: "ovl.whiteout",
    title: "What is removed below is hidden above",
    text: "A name of a lower layer cannot be removed there. The upper layer gets a whiteout of that name, a character device 0:0, and the lookup stops at it. Nothing below becomes free.",
    sources: ["fs/overlayfs/dir.c, ovl_whiteout (6.18)"],
    holds: (event) => on(event, "whiteout", "overlay"),
  },
  {
    id: "aufs.whiteout",
    title: "aufs hides a name by a file .wh.NAME",
    text: "Whiteouts of a writable branch are hard links to one empty file of the branch, named .wh. and the hidden name.",
    sources: ["fs/aufs/whout.c"],
    holds: (event) => on(event, "whiteout", "aufs"),
  },
  {
    id: "driver.tree-copy",
    title: "The driver copies a whole tree for each layer",
    text: "A driver without layers of its own makes a new layer by copying its parent's whole tree, file by file: every image layer, and every container, has all of it.",
    sources: ["moby daemon/graphdriver/copy/copy.go"],
    holds: (event) => event.op === "treeCopy",
  },
  {
    id: "fs.extent",
    title: "Blocks are allocated when data is written back",
    text: "With delayed allocation a write only reserves; the filesystem chooses blocks when the pages are written back: at fsync, by the flusher's timer, or under memory pressure.",
    sources: ["fs/ext4/inode.c, ext4_da_write_begin", "fs/xfs/xfs_aops.c"],
    holds: (event) => event.op === "extent",
  },
  {
    id: "fs.journal",
    title: "Metadata goes through the journal first",
    text: "A transaction's blocks are written to the log, with a commit record, before they may be written in place: that is why the device writes more than was changed.",
    sources: ["fs/jbd2/commit.c", "fs/xfs/xfs_log.c"],
    holds: (event) => event.op === "journalCommit",
  },
  {
    id: "cache.miss",
    title: "A page is cached under the inode that owns it",
    text: "Two containers share a cached page when both read one inode of one filesystem. Inodes of a lower layer are such; copies, subvolumes, clones and thin devices have inodes of their own, and each is read from the disk once more.",
    sources: ["mm/filemap.c"],
    holds: (event) => event.op === "cacheMiss",
  },
  {
    id: "cache.readahead",
    title: "The kernel reads on behind what was asked for",
    text: "A read at a file's beginning, or where the last one ended, has a window of pages read; whoever comes to its mark has the next one read, up to the device's read_ahead_kb (btrfs: 4 MiB). A touched mapping has a window around the page.",
    sources: ["mm/readahead.c", "mm/filemap.c"],
    holds: (event) => event.op === "cacheMiss" && event.ahead > 0,
  },
  {
    id: "device.flush",
    title: "A flush makes the disk's cache durable",
    text: "fsync ends with a flush of the disk's volatile write cache; so does each copy-up, and each commit of a journal.",
    sources: ["block/blk-flush.c"],
    holds: (event) => event.op === "deviceFlush",
  },
  {
    id: "thin.break-sharing",
    title: "A write to a shared block of a thin pool copies the block",
    text: "A block that was mapped before the last snapshot is shared. A write to part of it takes a new block, copies the old one and then writes; a write to all of it copies nothing.",
    sources: ["drivers/md/dm-thin.c, break_sharing"],
    holds: (event) => event.op === "thinBreak",
  },
  {
    id: "thin.provision",
    title: "The first write to a block of a thin volume takes a whole block of the pool",
    text: "A virtual block has no place until it is written. However little the first write is, it takes one block of the pool, 64 KiB or more; the block is taken next-fit, after the last one that was.",
    sources: ["drivers/md/dm-thin.c, provision_block"],
    holds: (event) => event.op === "thinProvision",
  },
  {
    id: "thin.discard",
    title: "A pool gets blocks back by discards alone, or with the device",
    text: "Removing a file tells the pool nothing. A discard of whole blocks unmaps them, and those that no other device maps are free; without discards they stay until the device is deleted.",
    sources: ["drivers/md/dm-thin.c, process_discard_cell_passdown"],
    holds: (event) => event.op === "thinUnmap",
  },
  {
    id: "snapshot.share",
    title: "A snapshot copies no data",
    text: "A snapshot or clone points to what its source has. What it costs is a root, and later a copy of each block that either side changes: of 64 KiB or more in a thin pool, of sectors on btrfs, of records on zfs.",
    sources: ["fs/btrfs/ioctl.c, create_snapshot", "openzfs module/zfs/dsl_dataset.c"],
    holds: (event) => event.op === "snapshot",
  },
  {
    id: "thin.no-space",
    title: "A pool without free blocks fails writes to new ones",
    text: "Writes that need a block wait, or fail with ENOSPC as the pool's options say; blocks that are mapped can be overwritten still.",
    sources: ["drivers/md/dm-thin.c, set_pool_mode"],
    errno: "ENOSPC",
    holds: (event) => event.op === "poolMode" && event.mode === "outOfDataSpace",
  },
  {
    id: "space.none",
    title: "ENOSPC has several causes",
    text: "No block is free, or no inode (df -i tells), or a project on xfs has what it may have: its limit, which a container's size is for overlay2 and vfs, is answered with ENOSPC and not with EDQUOT. A copy-up needs room for the whole file.",
    sources: ["fs/xfs/xfs_trans_dquot.c, xfs_trans_dqresv (6.18)", "fs/ext4/ialloc.c, __ext4_new_inode (6.18)"],
    errno: "ENOSPC",
    holds: (event) => event.op === "call" && event.result === "ENOSPC",
  },
  {
    id: "btrfs.quota",
    title: "A size on btrfs counts what the container shares with its image",
    text: "The limit of a subvolume's quota group is on what it refers to, the image's extents among it. A write reserves its room before it is made, and metadata reserve some too, so that a file ends below the limit. Removing files gives room back at the next commit.",
    sources: ["fs/btrfs/qgroup.c, btrfs_qgroup_reserve_data (6.18)", "moby daemon/graphdriver/btrfs/btrfs.go, subvolLimitQgroup"],
    errno: "EDQUOT",
    holds: (event) => refused(event, "EDQUOT", "btrfs", /./),
  },
  {
    id: "zfs.quota",
    title: "A size on zfs counts what the container has of its own",
    text: "The quota of a clone is on the space of its dataset: blocks that it shares with the snapshot of its image do not count. It is looked at as a transaction group fills, in which more may fit than the quota says.",
    sources: ["OpenZFS 2.1 module/zfs/dsl_dir.c, dsl_dir_tempreserve_impl", "moby daemon/graphdriver/zfs/zfs.go, setQuota"],
    errno: "EDQUOT",
    holds: (event) => refused(event, "EDQUOT", "zfs", /./),
  },
  {
    id: "btrfs.cow",
    title: "btrfs never overwrites data that a snapshot shares",
    text: "Each write of data takes new sectors, and the old extent stays as long as anybody uses a part of it.",
    sources: ["fs/btrfs/inode.c, cow_file_range"],
    holds: (event) => event.op === "extentDrop" && event.left === "shared",
  },
  {
    id: "btrfs.bookend",
    title: "btrfs frees an extent whole or not at all",
    text: "An item of a file can show a part of an extent. When the rest is overwritten or cut off, the whole extent stays allocated for the part that is still used.",
    sources: ["fs/btrfs/file.c, btrfs_drop_extents"],
    holds: (event) => event.op === "extentDrop" && event.left === "part",
  },
  {
    id: "btrfs.reflink",
    title: "A clone on btrfs refers to the same extents",
    text: "FICLONE, copy_file_range and deduplication give a file references to extents that are there, in the same subvolume or another one. Nothing is copied but files so small that they lie in the metadata.",
    sources: ["fs/btrfs/reflink.c, btrfs_clone"],
    holds: (event) => event.op === "extentShare",
  },
  {
    id: "btrfs.subvolume",
    title: "Links and renames stay within one subvolume",
    text: "Each subvolume has inodes and a device number of its own: link and rename of a file or folder into another one answer EXDEV, though both are one filesystem. Renaming a whole subvolume works.",
    sources: ["fs/btrfs/inode.c, btrfs_rename and btrfs_link"],
    errno: "EXDEV",
    holds: (event) => refused(event, "EXDEV", "btrfs", /^(rename|link)/),
  },
  {
    id: "zfs.record",
    title: "zfs writes whole records",
    text: "A file larger than one record is kept in records of recordsize, and a change of one byte writes a whole new one.",
    sources: ["openzfs module/zfs/dbuf.c"],
    holds: (event) => event.op === "blockBirth",
  },
  {
    id: "zfs.birth",
    title: "A block lives as long as the newest snapshot that is not older than it",
    text: "zfs counts no references. A dataset that lets go of a block compares the block's birth with its newest snapshot: born later, nobody else can have it, and it is freed; else it goes to the dead list, and a snapshot keeps it.",
    sources: ["openzfs module/zfs/dsl_dataset.c, dsl_dataset_block_kill"],
    holds: (event) => event.op === "blockFree" || event.op === "blockKeep",
  },
  {
    id: "zfs.arc",
    title: "The ARC knows blocks by place and birth, not by file",
    text: "A clone and its origin point to the same block, and so find it in the ARC once it was read or written through either. Pages that mmap needs are copied to the page cache beside that.",
    sources: ["openzfs module/zfs/arc.c, buf_hash_find"],
    holds: (event) => event.op === "arcHit" || event.op === "arcMiss",
  },
  {
    id: "zfs.dataset",
    title: "Links and renames stay within one dataset",
    text: "Each dataset is a filesystem with a mount of its own: link and rename into another one answer EXDEV, though both lie in one pool.",
    sources: ["fs/namei.c, do_renameat2 (6.18)"],
    errno: "EXDEV",
    holds: (event) => refused(event, "EXDEV", "zfs", /^(rename|link)/),
  },
  {
    id: "vfs.cross-mount",
    title: "Links and renames stay within one mount",
    text: "rename, link, and clones between two mounts answer EXDEV, whatever lies below them.",
    sources: ["fs/namei.c, do_renameat2 (6.18)"],
    errno: "EXDEV",
    holds: (event) => ["ext4", "xfs", "tmpfs"].some((filesystem) => refused(event, "EXDEV", filesystem, /^(rename|link)/)),
  },
];

/** The rule of an id. */
export function ruleNamed(id: string): Rule | undefined {
  return RULES.find((rule) => rule.id === id);
}

/** The rules that events are cases of, in the order of the list. */
export function rulesFor(events: Iterable<SimEvent>): readonly Rule[] {
  const found = new Set<Rule>();
  for (const event of events) for (const rule of RULES) if (!found.has(rule) && rule.holds?.(event) === true) found.add(rule);
  return RULES.filter((rule) => found.has(rule));
}
