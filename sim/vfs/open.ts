import { ENOSYS, type Errno } from "../core/errno.ts";
export function open(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function close(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
