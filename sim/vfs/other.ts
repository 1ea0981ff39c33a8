import { ENOSYS, type Errno } from "../core/errno.ts";
export function flock(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function lock(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function fadvise(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function getFlags(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function setFlags(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function inotifyAdd(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function exec(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function sendfile(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function nameToHandle(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
export function cachedPages(..._: unknown[]): number | Errno {
  return ENOSYS;
}
export function dropPages(..._: unknown[]): Errno | undefined {
  return ENOSYS;
}
