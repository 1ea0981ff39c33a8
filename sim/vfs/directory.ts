import { ENOSYS, type Errno } from "../core/errno.ts";
export function chroot(..._: unknown[]): import("./task.ts").Task | Errno {
  return ENOSYS;
}
export function chdir(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function resolve(..._: unknown[]): import("./mount.ts").Position | Errno {
  return ENOSYS;
}
export function readlink(..._: unknown[]): string | Errno {
  return ENOSYS;
}
export function readdir(..._: unknown[]): DirectoryEntry[] | Errno {
  return ENOSYS;
}
/** One row of a directory. */
export interface DirectoryEntry {
  readonly name: string;
  /** The type bits of its mode (S_IFMT). */
  readonly type: number;
  /** d_ino. */
  readonly inodeNumber: number;
}
