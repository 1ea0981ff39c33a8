/** A host with one disk that holds an ext4, and a task that has it for its root. */
import type { Disk } from "../../sim/block/disk.ts";
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";

export interface Mounted {
  readonly host: Host;
  readonly disk: Disk;
  readonly task: Task;
}

/** Throws a failure, gives all else on. */
export function must<T>(result: T | Errno): T {
  if (isErrno(result)) throw new Error(result.code);
  return result;
}

/** Makes a filesystem on a new disk and mounts it. */
export function mounted(size: number): Mounted {
  const host = createHost({ seed: 1 });
  const disk = host.addDisk({ size });
  must(host.mkfs("ext4", disk.name));
  must(host.task.mkdir("/mnt"));
  return { host, disk, task: mount(host, disk) };
}

/** @returns a task whose root is what the disk holds. */
export function mount(host: Host, disk: Disk): Task {
  const failed = host.mount({ type: "ext4", source: disk.name, target: "/mnt" });
  if (failed !== undefined) throw new Error(`mount: ${failed.errno.code} ${failed.message}`);
  return must(host.task.chroot("/mnt"));
}

/** Writes content at an offset of a file that is made when it is not there, in pieces of 1 MiB at most. */
export function put(task: Task, path: string, content: Content, offset = 0): void {
  const fd = must(task.open(path, O_WRONLY | O_CREAT, 0o644));
  for (let at = 0; at < content.length; at += 2 ** 20) {
    const piece = content.slice(at, Math.min(at + 2 ** 20, content.length));
    if (must(task.pwrite(fd, piece, offset + at)) !== piece.length) throw new Error(`${path}: a write ended early`);
  }
  must(task.close(fd));
}
