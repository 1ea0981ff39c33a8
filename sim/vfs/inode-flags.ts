/** The flags of chattr(1) as FS_IOC_GETFLAGS tells them (include/uapi/linux/fs.h); `FileSystem.fileFlags` gives their bits. */

/** FS_SYNC_FL: S. */
export const SYNCHRONOUS = 0x08;
/** FS_IMMUTABLE_FL: i. */
export const IMMUTABLE = 0x10;
/** FS_APPEND_FL: a. */
export const APPEND_ONLY = 0x20;
/** FS_NODUMP_FL: d. */
export const NO_DUMP = 0x40;
/** FS_NOATIME_FL: A. */
export const NO_ATIME = 0x80;
