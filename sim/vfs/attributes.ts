import { ENOSYS, type Errno } from "../core/errno.ts";
export function stat(..._: unknown[]): import("./filesystem.ts").Attributes | Errno {
  return ENOSYS;
}
export function fstat(..._: unknown[]): import("./filesystem.ts").Attributes | Errno {
  return ENOSYS;
}
export function statfs(..._: unknown[]): import("./filesystem.ts").StatFs | Errno {
  return ENOSYS;
}
export function access(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function chmod(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fchmod(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function chown(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fchown(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function utimens(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
