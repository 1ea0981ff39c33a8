/**
 * Project quotas of layers' folders (moby quota/projectquota.go, v20.10.27): each folder that is limited gets a project of its own.
 *
 * Interface: `start` leaves the node `backingFsBlockDev` in the home, whether quotas are to be had or not: through it Docker asks. Ids begin two
 * above the home's own, since the one above it is tried for a limit first, and lie above all that folders of the home and those in them have.
 */
import { ENOSYS, EPERM, type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { type Inode, type ProjectQuota, S_IFBLK } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { DriverError, errnoText, isDriverError, pathError } from "./driver.ts";
import { isDirectory, lstat, sortedNames, stat } from "./files.ts";
import { QUOTA_NOT_SUPPORTED } from "./options.ts";

/** A folder as its filesystem's projects know it. */
interface Folder {
  readonly projects: ProjectQuota | undefined;
  readonly inode: Inode;
}

/** Limits are given to the kernel in units of 512 bytes. */
const UNIT = 512;

export class QuotaControl {
  readonly #task: Task;
  readonly #node: string;
  readonly #home: ProjectQuota;
  /** Folders that have a project, by path. A folder that is gone keeps its row, as with Docker: its id is not used again. */
  readonly #ids = new Map<string, number>();
  #next: number;

  private constructor(task: Task, home: { readonly node: string; readonly projects: ProjectQuota; readonly next: number }) {
    this.#task = task;
    this.#node = home.node;
    this.#home = home.projects;
    this.#next = home.next;
  }

  /** @returns QUOTA_NOT_SUPPORTED where the filesystem of the home keeps no limits of projects. */
  static start(task: Task, home: string): QuotaControl | DriverError {
    const node = makeBackingDevice(task, home);
    if (isDriverError(node)) return node;
    const folder = folderAt(task, home);
    if (isErrno(folder)) return pathError("open", home, folder);
    const { projects, inode } = folder;
    if (projects === undefined || !projects.enforced) return QUOTA_NOT_SUPPORTED;
    const base = projects.projectOf(inode);
    const control = new QuotaControl(task, { node, projects, next: base + 2 });
    return control.#limit(base + 1, 0) ?? control.#scan(home, base) ?? control;
  }

  /** Notes the ids that folders of the home have, and, below those that have none of their own, the folders in them. */
  #scan(path: string, base: number, depth = 1): DriverError | undefined {
    const names = sortedNames(this.#task, path);
    if (isDriverError(names)) return new DriverError(`read directory failed: ${path}`);
    for (const name of names) {
      const at = `${path}/${name}`;
      const of = lstat(this.#task, at);
      if (isDriverError(of) || !isDirectory(of)) continue;
      const folder = folderAt(this.#task, at);
      if (isErrno(folder)) return new DriverError(`failed to open dir: ${at}`);
      const id = folder.projects?.projectOf(folder.inode) ?? 0;
      if (id > 0) this.#ids.set(at, id);
      this.#next = Math.max(this.#next, id + 1);
      if (depth === 2 || (id > 0 && id !== base)) continue;
      const failed = this.#scan(at, base, depth + 1);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /**
   * Limits a folder and all that will be made in it.
   * @param size - in bytes.
   */
  setQuota(path: string, size: number): DriverError | undefined {
    let id = this.#ids.get(path);
    if (id === undefined) {
      id = this.#next;
      const folder = folderAt(this.#task, path);
      if (isErrno(folder)) return new DriverError(`failed to open dir: ${path}`);
      const failed = folder.projects?.setProject(folder.inode, id, true);
      if (failed !== undefined)
        return new DriverError(`failed to set projid for ${path}: ${errnoText(failed)}`, { errno: failed });
      this.#next += 1;
      this.#ids.set(path, id);
    }
    return this.#limit(id, size);
  }

  #limit(id: number, size: number): DriverError | undefined {
    const errno = this.#home.setLimit(id, bytes(Math.floor(size / UNIT) * UNIT));
    if (errno === undefined) return undefined;
    return new DriverError(`failed to set quota limit for projid ${id} on ${this.#node}: ${errnoText(errno)}`, { errno });
  }
}

function folderAt(task: Task, path: string): Folder | Errno {
  const place = task.resolve(path);
  return isErrno(place) ? place : { projects: place.mount.fs.projects, inode: place.inode };
}

/** Makes the node of the device that the home is on anew. @returns its path. */
function makeBackingDevice(task: Task, home: string): string | DriverError {
  const of = stat(task, home);
  if (isDriverError(of)) return of;
  const path = `${home}/backingFsBlockDev`;
  task.unlink(path);
  const errno = task.mknod(path, S_IFBLK | 0o600, of.device);
  if (errno === undefined) return path;
  if (errno === ENOSYS || errno === EPERM) return QUOTA_NOT_SUPPORTED;
  return new DriverError(`failed to mknod ${path}: ${errnoText(errno)}`, { errno });
}
