import { ENOSYS, type Errno } from "../core/errno.ts";
export function truncate(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function ftruncate(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fallocate(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function copyFileRange(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function clone(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
