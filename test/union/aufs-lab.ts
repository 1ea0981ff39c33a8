/**
 * A small lab for aufs: branches as folders of one tmpfs, mounted as mount(8) does, and looked at from within and from beside.
 */
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import type { MountFailure } from "../../sim/host/types.ts";
import { createHost, type Host, type HostOptions } from "../../sim/host.ts";
import type { AufsFileSystem } from "../../sim/union/aufs/filesystem.ts";
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { branchRows } from "../../src/layers/upper.ts";

const READ_MAX = 1_000_000;

export function must<T>(result: T): Exclude<T, { readonly code: string }> {
  if (isErrno(result)) throw new Error(result.code);
  return result as Exclude<T, { readonly code: string }>;
}

export class AufsLab {
  readonly host: Host;
  readonly task: Task;
  #mounts = 0;

  constructor(options: HostOptions = {}) {
    this.host = createHost(options);
    this.task = this.host.task;
    this.task.umask = 0;
    must(this.task.mkdir("/b", 0o755));
  }

  /** Makes the folder of a branch, with files by path; a path that ends with a slash is a folder. */
  branch(name: string, files: Readonly<Record<string, string>> = {}): string {
    must(this.task.mkdir(`/b/${name}`, 0o755));
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith("/")) must(this.task.mkdir(`/b/${name}/${path}`, 0o755));
      else put(this.task, `/b/${name}/${path}`, text);
    }
    return `/b/${name}`;
  }

  /** Tries to mount. @returns where, or why not. */
  tryMount(options: string): string | MountFailure {
    const target = `/m${this.#mounts++}`;
    must(this.task.mkdir(target, 0o755));
    return this.host.mount({ type: "aufs", source: "none", target, options }) ?? target;
  }

  /** Mounts a new writable branch over others. @returns a task within, the mount's path, and the branch's. */
  over(lowers: readonly string[], more = ""): { task: Task; path: string; upper: string; fs: AufsFileSystem } {
    const upper = this.branch(`rw${this.#mounts}`);
    const branches = [`${upper}=rw`, ...lowers.map((lower) => `${lower}=ro+wh`)].join(":");
    return { ...this.enter(`br:${branches},dirperm1${more}`), upper };
  }

  /** Mounts with these options. */
  enter(options: string): { task: Task; path: string; fs: AufsFileSystem } {
    const path = this.tryMount(options);
    if (typeof path !== "string") throw new Error(path.message);
    const task = must(this.task.chroot(path));
    task.umask = 0;
    return { task, path, fs: task.root.mount.fs as AufsFileSystem };
  }

  /** What a writable branch holds, whiteouts and marks told by name. */
  rows(branch: string): string[] {
    return branchRows(this.task, branch).map(([path, type, marks]) => `${path} ${type}${marks === undefined ? "" : " opaque"}`);
  }
}

export function put(task: Task, path: string, text: string): void {
  const fd = must(task.open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o644));
  must(task.write(fd, Content.text(text)));
  must(task.close(fd));
}

export function read(task: Task, path: string): string {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd.code;
  const content = must(task.read(fd, READ_MAX));
  task.close(fd);
  return content.toText();
}

export function list(task: Task, path: string): string[] | string {
  const entries = task.readdir(path);
  return isErrno(entries) ? entries.code : entries.map(({ name }) => name);
}

export function code(result: unknown): string {
  return isErrno(result) ? result.code : "ok";
}
