import { ENOSYS, type Errno } from "../core/errno.ts";
export function rename(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
