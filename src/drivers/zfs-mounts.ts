/**
 * Mounting of datasets by zfs(8): where mountpoint and canmount say, with the flags that properties say, and again where a command changes that
 * (lib/libzfs/libzfs_mount.c, libzfs_changelist.c; OpenZFS 2.1.11, whose words are recorded in test/data/zfs/histories.ndjson).
 *
 * Interface: a dataset with mountpoint=legacy, as Docker's layers have it, is mounted by mount(8) or mount(2) alone: then the flags are what that says. A function
 * returns what zfs(8) writes to standard error; undefined when it worked.
 */
import { EBUSY, EINVAL, ENOENT, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Dataset, Directory } from "../../sim/cow/zfs/dsl.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { propertyOf, settingOf } from "../../sim/cow/zfs/properties.ts";
import type { Host } from "../../sim/host.ts";
import type { Mount } from "../../sim/vfs/mount.ts";
import { isFilledDirectory, makeDirectories } from "./files.ts";

/** Properties that are flags of a mount, with the words for on and off (zfs_add_options). */
const FLAGS: readonly (readonly [property: string, on: string, off: string])[] = [
  ["devices", "dev", "nodev"],
  ["exec", "exec", "noexec"],
  ["readonly", "ro", "rw"],
  ["setuid", "suid", "nosuid"],
];

/** Properties whose change has a mounted filesystem mounted again with other flags (zfs_is_namespace_prop). */
const REMOUNTED: ReadonlySet<string> = new Set([
  ...["atime", "relatime", "devices", "exec", "setuid"],
  ...["readonly", "xattr", "nbmand"],
]);

/** What the table of mounts says of a property; what it does not say is as it is set. */
const SHOWN: Readonly<Record<string, (mount: Mount) => string | undefined>> = {
  atime: ({ options }) => (options.noatime === true ? "off" : undefined),
  relatime: ({ options }) => (options.noatime !== true && options.strictatime !== true ? "on" : undefined),
  devices: ({ options }) => (options.nodev === true ? "off" : undefined),
  exec: ({ options }) => (options.noexec === true ? "off" : undefined),
  readonly: ({ readOnly }) => (readOnly ? "on" : "off"),
  setuid: ({ options }) => (options.nosuid === true ? "off" : undefined),
};

/** The flags that a filesystem's properties say, as options; `first` are given beside, and hold. */
function optionsOf(pool: Pool, directory: Directory, first = ""): string {
  const given = first.split(",").filter((word) => word !== "");
  const value = (name: string): string => settingOf(directory, name, pool.profile);
  const add = (words: readonly string[], chosen: string): void => {
    if (!words.some((word) => given.includes(word))) given.push(chosen);
  };
  add(["atime", "noatime"], value("atime") === "off" ? "noatime" : "atime");
  // strictatime would turn atime on.
  if (!given.includes("noatime")) add(["relatime", "strictatime"], value("relatime") === "on" ? "relatime" : "strictatime");
  for (const [name, on, off] of FLAGS) add([on, off], value(name) === "on" ? on : off);
  return given.join();
}

export interface MountHow {
  /** Behind -o. */
  readonly options?: string;
  /** Also over a directory that is not empty (-O). */
  readonly overlays?: boolean;
}

/** Filesystems that a command is about to change, and how they stood before. */
export interface ChangeList {
  /** Mounts again what was mounted, and what had no mountpoint before, where canmount=on. */
  finish(): string | undefined;
}

/** The dataset that a path lies on; a name as it is (zfs_path_to_zhandle). */
export function datasetNamed(host: Host, word: string): string {
  if (!word.startsWith("/")) return word;
  const place = host.task.resolve(word);
  return !isErrno(place) && place.mount.fs.type === "zfs" ? place.mount.fs.label : word;
}

export class ZfsMounts {
  readonly #host: Host;
  readonly #pool: Pool;

  constructor(host: Host, pool: Pool) {
    this.#host = host;
    this.#pool = pool;
  }

  /** The first mount of a filesystem, as the table of mounts tells it. */
  #mountOf({ path }: Dataset): Mount | undefined {
    return this.#host.vfs.mounts.find(({ fs }) => fs.type === "zfs" && fs.label === path);
  }

  /** Where a filesystem is mounted. */
  placeOf(head: Dataset): string | undefined {
    const mount = this.#mountOf(head);
    return mount === undefined ? undefined : this.#host.placeOf(mount);
  }

  /** Datasets that are mounted, and where, in the order in which they were. */
  shown(): [path: string, place: string][] {
    return this.#host.vfs.mounts.flatMap((mount) => {
      const place = mount.fs.type === "zfs" ? this.#host.placeOf(mount) : undefined;
      return place === undefined ? [] : [[mount.fs.label, place]];
    });
  }

  /** A property's value where the flags that a filesystem is mounted with say another one than is set (get_numeric_property). */
  temporary(dataset: Dataset, name: string): string | undefined {
    const mount = dataset.isSnapshot ? undefined : this.#mountOf(dataset);
    const says = mount === undefined ? undefined : SHOWN[name]?.(mount);
    return says === this.#setting(dataset.directory, name) ? undefined : says;
  }

  /** Where a filesystem would be mounted; undefined where mountpoint or canmount say nowhere (zfs_is_mountable). */
  #targetOf(directory: Directory): string | undefined {
    const value = this.#mountpointOf(directory);
    const can = value !== "none" && value !== "legacy" && this.#setting(directory, "canmount") !== "off";
    return can && this.#setting(directory, "zoned") !== "on" ? value : undefined;
  }

  /** Whether a filesystem has a place to be mounted at. */
  isMountable(directory: Directory): boolean {
    return this.#targetOf(directory) !== undefined;
  }

  /** Whether a filesystem is mounted without being named. */
  isAutomatic(directory: Directory): boolean {
    return this.#setting(directory, "canmount") === "on";
  }

  /** Why a filesystem that is named is not mounted (share_mount_one); undefined when it may be. */
  refusal(directory: Directory): string | undefined {
    const value = this.#mountpointOf(directory);
    const doing = `cannot mount '${directory.path}'`;
    if (value === "legacy") return `${doing}: legacy mountpoint\nuse mount(8) to mount this filesystem`;
    if (value === "none") return `${doing}: no mountpoint set`;
    if (this.#setting(directory, "canmount") === "off") return `${doing}: 'canmount' property is set to 'off'`;
    return this.placeOf(directory.head) === undefined ? undefined : `${doing}: filesystem already mounted`;
  }

  /** Why a filesystem that is named is not unmounted (unshare_unmount); undefined when it may be. */
  unmountRefusal(directory: Directory): string | undefined {
    const doing = `cannot unmount '${directory.path}'`;
    if (this.#mountpointOf(directory) === "legacy")
      return `${doing}: legacy mountpoint\nuse umount(8) to unmount this filesystem`;
    return this.placeOf(directory.head) === undefined ? `${doing}: not currently mounted` : undefined;
  }

  #mountpointOf(directory: Directory): string {
    return propertyOf(directory, "mountpoint", this.#pool.profile).value;
  }

  #setting(directory: Directory, name: string): string {
    return settingOf(directory, name, this.#pool.profile);
  }

  /** Mounts a filesystem if it is to be mounted anywhere (zfs_mount). */
  mount({ head }: Directory, how: MountHow = {}): string | undefined {
    const { directory } = head;
    const target = this.#targetOf(directory);
    if (target === undefined) return undefined;
    const { task } = this.#host;
    if (isErrno(task.lstat(target))) {
      const failed = makeDirectories(task, target, 0o755);
      if (failed !== undefined) return `cannot mount '${target}': failed to create mountpoint: ${failed.errno?.text}`;
    }
    const overlays = how.overlays === true || this.#setting(directory, "overlay") === "on";
    if (!overlays && isFilledDirectory(task, target)) return `cannot mount '${target}': directory is not empty`;
    const options = `${optionsOf(this.#pool, directory, how.options)},zfsutil`;
    const failed = this.#host.mount({ type: "zfs", source: head.path, target, options });
    return failed === undefined ? undefined : `cannot mount '${head.path}': ${mountFault(failed.errno)}`;
  }

  /** Unmounts a filesystem where it is mounted (zfs_unmount). */
  unmount(head: Dataset): string | undefined {
    const target = this.placeOf(head);
    const failed = target === undefined ? undefined : this.#host.unmount(target);
    return failed === undefined ? undefined : `cannot unmount '${target}': ${unmountFault(failed)}`;
  }

  /** Where a filesystem that is about to go or move has a directory that nobody chose, which goes with it (remove_mountpoint). */
  #ownDirectory(directory: Directory): string | undefined {
    const { source } = propertyOf(directory, "mountpoint", this.#pool.profile);
    return source === "local" ? undefined : this.#targetOf(directory);
  }

  /** Removes the directory of a filesystem that has gone. */
  removeDirectory(directory: Directory): void {
    const own = this.#ownDirectory(directory);
    if (own !== undefined) this.#host.task.rmdir(own);
  }

  /**
   * Unmounts what a command is about to change, the lowest first (changelist_gather, changelist_prefix); when one cannot be, those that were are mounted again.
   * @param all - also what has a mountpoint of its own below: its name changes
   */
  begin(directory: Directory, all: boolean): ChangeList | string {
    const list = this.#affected(directory, all);
    const value = this.#mountpointOf(directory);
    const hadNone = value === "legacy" || value === "none";
    const own = this.#ownDirectory(directory);
    const mounted = new Set<Directory>();
    /** changelist_postfix. */
    const finish = (): string | undefined => {
      if (own !== undefined) this.#host.task.rmdir(own);
      const wanted = list.filter((one) => (mounted.has(one) || hadNone) && this.isAutomatic(one));
      return joined(wanted.map((one) => (this.placeOf(one.head) === undefined ? this.mount(one) : undefined)));
    };
    for (const one of [...list].reverse()) {
      // Of a name nobody asks who mounted it himself.
      if (this.placeOf(one.head) === undefined || (all && this.#mountpointOf(one) === "legacy")) continue;
      const wrong = this.unmount(one.head);
      if (wrong !== undefined) {
        finish();
        return wrong;
      }
      mounted.add(one);
    }
    return { finish };
  }

  #affected(directory: Directory, all: boolean): Directory[] {
    const found = [directory];
    for (const name of [...directory.children.keys()].sort()) {
      const child = directory.children.get(name) as Directory;
      if (all || !child.properties.has("mountpoint")) found.push(...this.#affected(child, all));
    }
    return found;
  }

  /** Has a mounted filesystem follow properties that are flags of its mount; one with mountpoint=legacy has those that it was mounted with. */
  follow(directory: Directory, properties: Iterable<string>): string | undefined {
    const place = this.placeOf(directory.head);
    const isFlag = [...properties].some((name) => REMOUNTED.has(name));
    if (!isFlag || place === undefined || this.#targetOf(directory) === undefined) return undefined;
    const failed = this.#host.remount(place, optionsOf(this.#pool, directory));
    return failed === undefined ? undefined : `cannot mount '${directory.path}': ${mountFault(failed.errno)}`;
  }
}

/** What was wrong with any of several, line by line. */
export function joined(wrong: readonly (string | undefined)[]): string | undefined {
  const told = wrong.filter((one) => one !== undefined);
  return told.length === 0 ? undefined : told.join("\n");
}

function mountFault(errno: Errno): string {
  return errno === EBUSY ? "mountpoint or dataset is busy" : errno.text;
}

function unmountFault(errno: Errno): string {
  if (errno === EBUSY) return "pool or dataset is busy";
  return errno === ENOENT ? "no such pool or dataset" : errno === EINVAL ? "unmount failed" : errno.text;
}
