import { ENOSYS, type Errno } from "../core/errno.ts";
export function unlink(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function rmdir(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
