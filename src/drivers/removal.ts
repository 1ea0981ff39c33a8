/**
 * Removing folders that may still have mounts in them (moby pkg/system/rm.go, EnsureRemoveAll), and unmounting below a folder.
 */
import { EBUSY } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { DriverError } from "./driver.ts";
import { removeAll } from "./files.ts";

/** Docker tries a busy path this often, with 100 ms between. */
const TRIES_MAX = 50;

/** Ends every mount at `path` and below it, the deepest first; those that are still used are only detached. */
export function unmountBelow(host: Host, path: string): void {
  for (const at of host.mountedBelow(path).reverse()) host.unmount(at, true);
}

/** Removes a folder with everything in it, after unmounting what is mounted there. A folder that is not there is removed already. */
export function ensureRemoveAll(host: Host, task: Task, path: string): DriverError | undefined {
  unmountBelow(host, path);
  let failed = removeAll(task, path);
  for (let tries = 1; failed?.errno === EBUSY && tries < TRIES_MAX; tries++) {
    unmountBelow(host, path);
    failed = removeAll(task, path);
  }
  return failed;
}
