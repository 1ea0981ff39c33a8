/**
 * What user space asks of projects (fs/xfs/xfs_ioctl.c: xfs_fileattr_set; xfs_qm_syscalls.c: xfs_qm_scall_setqlim; xfs_qm_bhv.c: xfs_qm_statvfs).
 */
import { ENOSYS, type Errno } from "../../core/errno.ts";
import { type Inode, type ProjectQuota, S_IFDIR, S_IFMT, type StatFs } from "../../vfs/filesystem.ts";
import { FileData } from "./file-data.ts";
import { BLOCKS, FLAGS, MODE, PROJECT } from "./inodes.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { PROJECT_INHERIT } from "./namei.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";

/** Moves an inode, with all blocks that it has or was promised, to another project: the caller is root, whom no limit stops at this. */
function setProject(state: XfsState, ino: number, project: number, inherit: boolean): Errno | undefined {
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const data = state.data(ino);
  const blocks = state.word(ino, BLOCKS) + (data instanceof FileData ? data.unsettledBlocks : 0);
  state.projects.charge(state.word(ino, PROJECT), -blocks);
  state.projects.charge(project, blocks);
  state.setWord(ino, PROJECT, project);
  const isDirectory = (state.word(ino, MODE) & S_IFMT) === S_IFDIR;
  state.setWord(ino, FLAGS, (state.word(ino, FLAGS) & ~PROJECT_INHERIT) | (inherit && isDirectory ? PROJECT_INHERIT : 0));
  stamp(state, ino, false);
  return undefined;
}

/** Limits are kept in whole blocks, what is left of one counted as one (XFS_B_TO_FSB). */
function setLimit(state: XfsState, project: number, size: number): Errno | undefined {
  if (!state.projects.enforced) return ENOSYS;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  state.projects.setLimit(project, Math.ceil(size / BLOCK_SIZE));
  state.log.dirty(state);
  return undefined;
}

/** The filesystem's projects, for those who set them. */
export function projectQuota(state: XfsState): ProjectQuota {
  return {
    enforced: state.projects.enforced,
    projectOf: (inode: Inode) => state.word(inode, PROJECT) >>> 0,
    setProject: (inode, project, inherit) => setProject(state, inode, project, inherit),
    setLimit: (project, size) => setLimit(state, project, size),
  };
}

/** The size of what statfs was asked about: of a folder that passes on a limited project no more than the limit, and what is left of it. */
export function ownLimit(
  state: XfsState,
  ino: number,
  whole: { readonly blocks: number; readonly free: number },
): Pick<StatFs, "blocks" | "blocksFree" | "blocksAvailable"> {
  const project = state.word(ino, PROJECT);
  const inherits = (state.word(ino, FLAGS) & PROJECT_INHERIT) !== 0;
  const limit = inherits ? state.projects.limit(project) : undefined;
  const blocks = Math.min(whole.blocks, limit ?? whole.blocks);
  const free = limit === undefined ? whole.free : Math.min(whole.free, state.projects.left(project));
  return { blocks, blocksFree: free, blocksAvailable: free };
}
