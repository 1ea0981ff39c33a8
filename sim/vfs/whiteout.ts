/** Whiteouts as overlays have them: character devices 0:0 (vfs_whiteout, include/linux/fs.h: WHITEOUT_MODE, WHITEOUT_DEV). */
import { type NewInode, S_IFCHR } from "./filesystem.ts";

/** One of root's: what RENAME_WHITEOUT leaves unless the caller says otherwise. */
export const ROOTS_WHITEOUT: NewInode = { mode: S_IFCHR, uid: 0, gid: 0, rdev: 0, target: "" };
