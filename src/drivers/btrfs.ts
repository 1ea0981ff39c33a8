/**
 * btrfs: every layer a subvolume, a layer over another a writable snapshot of it (moby daemon/graphdriver/btrfs, v20.10.27).
 *
 * On disk: `subvolumes/<id>`, a subvolume each; `quotas/<id>`, a layer's limit in bytes where it was made with a size.
 * Interface: Get is the folder itself, Put does nothing. Image layers are as writable as containers are. Removing a layer takes the subvolumes along that a container has
 * made in it; a layer under others may go, since extents are counted.
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { makeSnapshot, makeSubvolume, removeSubvolume, subvolumeIdOf } from "../../sim/cow/btrfs/ioctl.ts";
import { disableQuota, enableQuota, limitQgroup, rescanQuota } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { BTRFS_MAGIC } from "../../sim/vfs/magic.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type DockerProfile, dockerOf } from "./docker-profile.ts";
import {
  type Change,
  type CreateOptions,
  type DriverContext,
  DriverError,
  type DriverKind,
  errnoText,
  type GraphDriver,
  isDriverError,
  PREREQUISITES,
} from "./driver.ts";
import { exists, isDirectory, lstat, makeDirectories, parentPath, readFile, sortedNames, stat, writeFile } from "./files.ts";
import { humanSize } from "./human-size.ts";
import { magicOf } from "./magic.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseKeyValue, parseSize } from "./options.ts";
import { ensureRemoveAll } from "./removal.ts";

/** st_ino of every subvolume's root (BTRFS_FIRST_FREE_OBJECTID). */
const SUBVOLUME_INODE = 256;

class BtrfsDriver implements GraphDriver {
  readonly name = "btrfs";
  readonly home: string;
  readonly counters: Readonly<Record<string, number>> = {};
  readonly #context: DriverContext;
  readonly #task: Task;
  readonly #docker: DockerProfile;
  readonly #minSpace: number;

  constructor(context: DriverContext, minSpace: number) {
    this.#context = context;
    this.#task = context.host.task;
    this.home = context.home;
    this.#docker = dockerOf(context.settings);
    this.#minSpace = minSpace;
  }

  get #subvolumes(): string {
    return `${this.home}/subvolumes`;
  }
  #folder(id: string): string {
    return `${this.#subvolumes}/${id}`;
  }
  #quotaFile(id: string): string {
    return `${this.home}/quotas/${id}`;
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    return this.createReadWrite(id, parent, options);
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    const failed = makeDirectories(this.#task, this.#subvolumes, this.#docker.folderMode);
    if (failed !== undefined) return failed;
    const made = parent === "" ? this.#makeSubvolume(id) : this.#makeSnapshot(id, parent);
    if (made !== undefined) return made;
    const storage = options.storage ?? {};
    // What else is given is only looked at beside a size.
    return "size" in storage ? this.#setSize(id, storage) : undefined;
  }

  #place(path: string): { fs: Btrfs; inode: Parameters<typeof makeSubvolume>[1] } | Errno {
    const place = this.#task.resolve(path);
    if (isErrno(place)) return place;
    const { fs } = place.mount;
    if (!(fs instanceof Btrfs)) throw new TypeError(`${path} is on ${fs.type}: the driver does not start there`);
    return { fs, inode: place.inode };
  }

  #makeSubvolume(id: string): DriverError | undefined {
    const inside = this.#place(this.#subvolumes);
    const made = isErrno(inside) ? inside : makeSubvolume(inside.fs, inside.inode, this.#context.host.names.intern(id));
    return isErrno(made) ? new DriverError(`Failed to create btrfs subvolume: ${errnoText(made)}`, { errno: made }) : undefined;
  }

  #makeSnapshot(id: string, parent: string): DriverError | undefined {
    const source = this.#folder(parent);
    const of = stat(this.#task, source);
    if (isDriverError(of)) return of;
    if (!isDirectory(of)) return new DriverError(`${source}: not a directory`);
    const from = this.#place(source);
    const inside = this.#place(this.#subvolumes);
    const name = this.#context.host.names.intern(id);
    const made = isErrno(from)
      ? from
      : isErrno(inside)
        ? inside
        : makeSnapshot(from.fs, from.inode, inside.inode, { name, readOnly: false });
    return isErrno(made) ? new DriverError(`Failed to create btrfs snapshot: ${errnoText(made)}`, { errno: made }) : undefined;
  }

  // Quotas

  #setSize(id: string, storage: Readonly<Record<string, string>>): DriverError | undefined {
    let size = 0;
    for (const [key, value] of Object.entries(storage)) {
      if (key.toLowerCase() !== "size") return new DriverError(`Unknown option ${key}`);
      const parsed = parseSize(value);
      if (isDriverError(parsed)) return parsed;
      size = parsed;
    }
    if (size === 0) return new DriverError(`btrfs: invalid storage size: ${humanSize(size)}`);
    if (this.#minSpace > 0 && size < this.#minSpace) {
      return new DriverError(`btrfs: storage size cannot be less than ${humanSize(this.#minSpace)}`);
    }
    return (
      this.#limit(id, size) ??
      makeDirectories(this.#task, `${this.home}/quotas`, 0o700) ??
      writeFile(this.#task, this.#quotaFile(id), { text: String(size), mode: 0o644 })
    );
  }

  #limit(id: string, size: number): DriverError | undefined {
    const folder = this.#folder(id);
    const failed = this.enableQuota();
    if (failed !== undefined) return failed;
    const place = this.#place(folder);
    const limited = isErrno(place) ? place : limitSubvolume(place.fs, subvolumeIdOf(place.fs, place.inode), size);
    if (limited === undefined) return undefined;
    return new DriverError(`Failed to limit qgroup for ${folder}: ${errnoText(limited)}`, { errno: limited });
  }

  /** Turns quotas on for the whole filesystem, if they are off. */
  enableQuota(): DriverError | undefined {
    const place = this.#place(this.home);
    const failed = isErrno(place) ? place : enableQuota(place.fs);
    if (failed === undefined) return undefined;
    return new DriverError(`Failed to enable btrfs quota for ${this.home}: ${errnoText(failed)}`, { errno: failed });
  }

  get #hasQuota(): boolean {
    const place = this.#place(this.home);
    return !isErrno(place) && place.fs.hasQuota;
  }

  get(id: string): string | DriverError {
    const folder = this.#folder(id);
    const of = stat(this.#task, folder);
    if (isDriverError(of)) return of;
    if (!isDirectory(of)) return new DriverError(`${folder}: not a directory`);
    const kept = exists(this.#task, this.#quotaFile(id)) ? readFile(this.#task, this.#quotaFile(id)) : "";
    const size = isDriverError(kept) || !/^\d+$/.test(kept) ? undefined : Number(kept);
    const failed = size === undefined || size < this.#minSpace ? undefined : this.#limit(id, size);
    return failed ?? folder;
  }

  put(): undefined {}

  // Removing

  remove(id: string): DriverError | undefined {
    const folder = this.#folder(id);
    const of = stat(this.#task, folder);
    if (isDriverError(of)) return of;
    if (exists(this.#task, this.#quotaFile(id))) this.#task.unlink(this.#quotaFile(id));
    const hasQuota = this.#hasQuota;
    const failed = this.#destroy(this.#subvolumes, id);
    // Without quotas, what is left is removed as a plain folder, and rmdir takes empty subvolumes too.
    if (failed !== undefined && hasQuota) return failed;
    const left = ensureRemoveAll(this.#context.host, this.#task, folder);
    if (left !== undefined || !hasQuota) return left;
    const place = this.#place(this.home);
    const counted = isErrno(place) ? place : rescanQuota(place.fs);
    return counted === undefined
      ? undefined
      : new DriverError(`Failed to rescan btrfs quota for ${this.home}: ${errnoText(counted)}`, { errno: counted });
  }

  /** Destroys a subvolume, those inside it first. */
  #destroy(directory: string, name: string): DriverError | undefined {
    const path = `${directory}/${name}`;
    const nested = this.#destroyNested(path, path);
    if (nested !== undefined) return nested;
    const inside = this.#place(directory);
    const failed = isErrno(inside) ? inside : removeSubvolume(inside.fs, inside.inode, this.#context.host.names.intern(name));
    if (failed === undefined) return undefined;
    return new DriverError(`Failed to destroy btrfs snapshot ${directory} for ${name}: ${errnoText(failed)}`, { errno: failed });
  }

  #destroyNested(top: string, folder: string): DriverError | undefined {
    const names = sortedNames(this.#task, folder);
    if (isDriverError(names)) return names;
    for (const name of names) {
      const path = `${folder}/${name}`;
      const of = lstat(this.#task, path);
      if (isDriverError(of)) return of;
      if (!isDirectory(of)) continue;
      if ((of.inodeNumber as number) === SUBVOLUME_INODE) {
        const failed = this.#destroy(folder, name);
        if (failed !== undefined)
          return new DriverError(`Failed to destroy btrfs child subvolume (${path}) of parent (${top}): ${failed.message}`);
        continue;
      }
      const failed = this.#destroyNested(top, path);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  exists(id: string): boolean {
    return exists(this.#task, this.#folder(id));
  }

  changes(id: string, parent: string): Change[] | DriverError {
    return naiveChanges(this.#task, this, { id, parent });
  }

  diffSize(id: string, parent: string): number | DriverError {
    return naiveDiffSize(this.#task, this, { id, parent });
  }

  /** As btrfs-progs 6.2 names its build and its library, in a Docker that tells them. */
  status(): readonly (readonly [string, string])[] {
    if (!this.#docker.btrfsVersions) return [["Btrfs", ""]];
    return [
      ["Build Version", "Btrfs v6.2"],
      ["Library Version", "102"],
    ];
  }

  metadata(): null {
    return null;
  }

  cleanup(): DriverError | undefined {
    const place = this.#place(this.home);
    const failed = isErrno(place) ? place : disableQuota(place.fs);
    if (failed === undefined) return undefined;
    return new DriverError(`Failed to disable btrfs quota for ${this.home}: ${errnoText(failed)}`, { errno: failed });
  }
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { home, host, settings } = context;
  if (magicOf(host.task, exists(host.task, home) ? home : parentPath(home)) !== BTRFS_MAGIC) return PREREQUISITES;
  let minSpace: number | undefined;
  for (const option of context.options) {
    const parsed = parseKeyValue(option);
    if (isDriverError(parsed)) return parsed;
    if (parsed.key !== "btrfs.min_space") return new DriverError(`Unknown option ${parsed.key}`);
    const size = parseSize(parsed.value);
    if (isDriverError(size)) return size;
    minSpace = size;
  }
  const made = makeDirectories(host.task, home, dockerOf(settings).folderMode);
  if (made !== undefined) return made;
  const driver = new BtrfsDriver(context, minSpace ?? 0);
  return (minSpace === undefined ? undefined : driver.enableQuota()) ?? driver;
}

/** The driver btrfs. */
export const BTRFS: DriverKind = { name: "btrfs", deprecated: false, backings: ["btrfs"], init };

/** Limits what a subvolume refers to, by a call that is made in it. */
function limitSubvolume(fs: Btrfs, subvolume: number, size: number): Errno | undefined {
  return limitQgroup(fs, subvolume, { referencedMax: size }, subvolume);
}
