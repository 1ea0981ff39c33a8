import { ENOSYS, type Errno } from "../core/errno.ts";
export function linkFile(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function mkdir(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function mknod(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function symlink(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function link(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
