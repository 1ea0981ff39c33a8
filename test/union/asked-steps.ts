/**
 * The steps of which the cases of overlay-asked.json and overlay-full.json are made, as test/kernel/overlay-asked.py makes them on a kernel: their
 * paths begin in the folder of the layers.
 */

import { assert } from "../../sim/core/assert.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { PAGE_SIZE } from "../../sim/vfs/address-space.ts";
import {
  newAttributes,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must } from "./aufs-lab.ts";

export type Step = readonly [op: string, path: string, ...more: readonly (string | number)[]];

const FOLDERS = ["m", "up", "up2", "work", "work2", "low", "low2"];

const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, "dir"],
  [S_IFREG, "file"],
  [S_IFLNK, "link"],
  [S_IFCHR, "whiteout"],
]);

/**
 * What a folder holds: path, type, mode, links, of files the size, and overlayfs's own xattrs; of names that tell a handle, and of those of what is
 * under way, only that they are there.
 */
function rows(task: Task, folder: string, path = ""): string[] {
  return must(task.readdir(folder)).flatMap(({ name }) => {
    const at = `${folder}/${name}`;
    const shown = `${path}/${name.replace(/^#[0-9a-f]+$/, "#").replace(/^[0-9a-f]{30,}$/, "*")}`;
    const of = must(task.lstat(at));
    const kind = TYPES.get(of.mode & S_IFMT) ?? "";
    const row = [shown, kind, (of.mode & 0o7777).toString(8), of.nlink, ...(kind === "file" ? [of.size] : [])];
    for (const attribute of must(task.llistxattr(at)).sort()) {
      const own = /^(?:trusted|user)[.]overlay[.](.*)$/.exec(attribute)?.[1];
      if (own === undefined) continue;
      const value = new TextDecoder().decode(must(task.lgetxattr(at, attribute)));
      row.push(["origin", "upper", "uuid"].includes(own) ? own : `${own}=${value}`);
    }
    return [row.join(" "), ...(kind === "dir" ? rows(task, at, shown) : [])];
  });
}

/** The number of an inode in its layer, without the bits by which xino tells the layer's filesystem. */
const ofLayer = (number = 0): number => number % 2 ** 32;

export function prepared(): Host {
  const host = createHost();
  host.task.umask = 0o22;
  must(host.task.mkdir("/b", 0o755));
  assert(mounted(host, "tmpfs", "/b", "") === "ok", "no tmpfs can be mounted");
  for (const name of FOLDERS) must(host.task.mkdir(`/b/${name}`, 0o777));
  return host;
}

export function told(got: unknown): string {
  if (isErrno(got)) return got.code;
  return typeof got === "string" ? got : "ok";
}
export function mounted(host: Host, type: string, target: string, options: string): string {
  return host.mount({ type, source: "t", target, options })?.errno.code ?? "ok";
}

/** An option's paths begin in the folder of the layers. */
function below(option: string): string {
  const [name, value] = option.split("=");
  return value?.startsWith("/") === true
    ? `${name}=${value
        .split(":")
        .map((path) => `/b${path}`)
        .join(":")}`
    : option;
}

/** A disk of so many MiB with a filesystem, mounted in a new folder that has the folders of the layers. */
function addDisk(host: Host, at: string, type: string, size: number): string {
  const disk = host.addDisk({ size: MIB(size) });
  must(host.task.mkdir(at, 0o777));
  const refused = host.mkfs(type, disk.name) ?? host.mount({ type, source: disk.name, target: at })?.errno;
  for (const name of FOLDERS) must(host.task.mkdir(`${at}/${name}`, 0o777));
  return told(refused);
}

/** Takes space until no more than `left` bytes are free. */
function fill(task: Task, at: string, left: number): Errno | undefined {
  const fd = task.open(at, O_CREAT | O_WRONLY, 0o644);
  if (isErrno(fd)) return fd;
  const { fs } = must(task.resolve(at)).mount;
  const free = (): number => {
    must(fs.sync());
    const { blocksFree, blockSize } = must(task.statfs(at));
    return blocksFree * blockSize - left;
  };
  let end = 0;
  let want = free();
  while (want > 0) {
    const length = Math.min(want, free());
    if (length <= 0) break;
    if (task.fallocate(fd, 0, end, length) === undefined) end += length;
    else want = Math.floor(want / 2 / PAGE_SIZE) * PAGE_SIZE;
  }
  task.close(fd);
  return undefined;
}

/** Entries of an index are named by handles, which no case can know: a star stands for the only one. */
function starred(task: Task, path: string): string {
  if (!path.endsWith("*")) return path;
  const folder = path.slice(0, -2);
  return `${folder}/${must(task.readdir(folder))[0]?.name ?? "*"}`;
}

/** Removes a file or an empty directory and makes others of its kind until one has its number; the others go. */
function reuse(task: Task, at: string, wanted: string): string {
  const { inodeNumber, mode } = must(task.lstat(at));
  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  const remove = (path: string): void => void must(isDirectory ? task.rmdir(path) : task.unlink(path));
  remove(at);
  const made: string[] = [];
  for (let turn = 0; turn < 200; turn++) {
    const path = `${wanted}.${turn}`;
    must(isDirectory ? task.mkdir(path, 0o777) : task.mknod(path, S_IFREG | 0o644));
    if (must(task.lstat(path)).inodeNumber === inodeNumber) {
      must(task.rename(path, wanted));
      break;
    }
    made.push(path);
  }
  for (const path of made) remove(path);
  return isErrno(task.lstat(wanted)) ? "never" : "ok";
}

export function act(host: Host, [op, path, more = "", text = ""]: Step): string {
  const { task } = host;
  const at = starred(task, `/b${path}`);
  const opened = (flags: number, call: (fd: number) => unknown): unknown => {
    const fd = task.open(at, flags, 0o644);
    if (isErrno(fd)) return fd;
    const got = call(fd);
    task.close(fd);
    return got;
  };
  switch (op) {
    case "mkdir":
      return told(task.mkdir(at, 0o777));
    case "put":
      return told(opened(O_CREAT | O_WRONLY | O_TRUNC, (fd) => task.write(fd, Content.text(String(more)))));
    case "setx":
      return told(task.lsetxattr(at, String(more), new TextEncoder().encode(String(text))));
    case "rmx":
      return told(task.lremovexattr(at, String(more)));
    case "mount":
      return mounted(host, "overlay", "/b/m", path.split(",").map(below).join());
    case "umount":
      return told(host.unmount("/b/m"));
    case "tmpfs":
      return mounted(host, "tmpfs", at, more === "ro" ? "ro" : "");
    case "stat":
      return told(task.lstat(at, newAttributes()));
    case "list": {
      const found = task.readdir(at);
      return isErrno(found)
        ? found.code
        : found
            .map(({ name }) => name)
            .sort()
            .join() || "";
    }
    case "read":
      return told(
        opened(O_RDONLY, (fd) => {
          const found = task.read(fd, 100);
          return isErrno(found) ? found : found.toText();
        }),
      );
    case "append":
      return told(opened(O_CREAT | O_WRONLY | O_APPEND, (fd) => task.write(fd, Content.text(String(more)))));
    case "symlink":
      return told(task.symlink(String(more), at));
    case "tree":
      return rows(task, at).sort().join("; ");
    case "listed": {
      const shown = must(task.readdir(at)).filter(
        (entry) => entry.inodeNumber === must(task.lstat(`${at}/${entry.name}`)).inodeNumber,
      );
      return shown
        .map(({ name }) => name)
        .sort()
        .join();
    }
    case "rename":
      return told(task.rename(at, `/b${more}`));
    case "link":
      return told(task.link(at, `/b${more}`));
    case "unlink":
      return told(task.unlink(at));
    case "rmdir":
      return told(task.rmdir(at));
    case "chmod":
      return told(task.chmod(at, Number(more)));
    case "numbered":
    case "device": {
      const [one, other] = [at, `/b${more}`].map((each) => must(task.lstat(each)));
      const same = op === "device" ? one?.device === other?.device : ofLayer(one?.inodeNumber) === ofLayer(other?.inodeNumber);
      return same ? "same" : "other";
    }
    case "number":
      return `${must(task.lstat(at)).inodeNumber}`;
    case "type":
    case "links": {
      const of = task.lstat(at);
      if (isErrno(of)) return of.code;
      return op === "links" ? `${of.nlink}` : (TYPES.get(of.mode & S_IFMT) ?? "");
    }
    case "own":
      return must(task.listxattr(at))
        .filter((name) => name.includes(".overlay."))
        .sort()
        .join();
    case "reuse":
      return reuse(task, at, `/b${more}`);
    case "disk":
      return addDisk(host, at, String(more), Number(text));
    case "fill":
      return told(fill(task, at, KIB(Number(more))));
    case "big":
      return told(opened(O_CREAT | O_WRONLY | O_TRUNC, (fd) => task.write(fd, Content.pattern(1, KIB(Number(more))))));
    case "truncate":
      return told(task.truncate(at, Number(more)));
    case "getx": {
      const value = task.lgetxattr(at, String(more));
      return isErrno(value) ? value.code : new TextDecoder().decode(value);
    }
    default:
      throw new Error(`no step ${op}`);
  }
}
