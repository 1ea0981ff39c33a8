import { ENOSYS, type Errno } from "../core/errno.ts";
export function setxattr(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fsetxattr(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function getxattr(..._: unknown[]): Uint8Array | Errno {
  return ENOSYS;
}
export function fgetxattr(..._: unknown[]): Uint8Array | Errno {
  return ENOSYS;
}
export function listxattr(..._: unknown[]): string[] | Errno {
  return ENOSYS;
}
export function flistxattr(..._: unknown[]): string[] | Errno {
  return ENOSYS;
}
export function removexattr(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fremovexattr(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
