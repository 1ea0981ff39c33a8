/** What statfs(2) tells of each type of filesystem: the numbers in its superblock (include/uapi/linux/magic.h; aufs_type.h; OpenZFS's zfs_vfsops.h). */
export const AUFS_MAGIC = 0x61756673;
export const BTRFS_MAGIC = 0x9123683e;
export const ECRYPTFS_MAGIC = 0xf15f;
/** Of ext2 and ext3, too. */
export const EXT4_MAGIC = 0xef53;
export const OVERLAYFS_MAGIC = 0x794c7630;
export const RAMFS_MAGIC = 0x858458f6;
export const TMPFS_MAGIC = 0x01021994;
export const XFS_MAGIC = 0x58465342;
export const ZFS_MAGIC = 0x2fc12fc1;
