import { ENOSYS, type Errno } from "../core/errno.ts";
export function read(..._: unknown[]): import("../core/content.ts").Content | Errno {
  return ENOSYS;
}
export function pread(..._: unknown[]): import("../core/content.ts").Content | Errno {
  return ENOSYS;
}
export function readInto(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function write(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function pwrite(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function lseek(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function fsync(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function mmap(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
