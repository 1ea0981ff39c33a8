/**
 * Scripts of calls on xfs with what the kernel told after each (test/fs/xfs-recorder/record.py), run here.
 *
 * What is told: the call's value or errno; free blocks and inodes in use by statfs; and of the step's file its inode number, size, sectors
 * and, where every block has its place, its extents.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { type Inode, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY, S_IFIFO, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";

export interface Told {
  readonly value?: number;
  readonly errno?: string;
  readonly free: number;
  readonly inodes: number;
  readonly ino?: number;
  readonly size?: number;
  readonly sectors?: number;
  readonly extents?: readonly number[];
}

interface ScriptStep {
  readonly call: string;
  readonly path?: string;
  readonly to?: string;
  readonly fd?: string;
  readonly offset?: number;
  readonly from?: number;
  readonly length?: number;
  readonly mode?: number;
  /** An attribute's name, or the length of files' names. */
  readonly name?: string | number;
  readonly first?: number;
  readonly count?: number;
  readonly by?: number;
  /** Whether a sync follows before it is told: freed blocks are in no tree before. */
  readonly synced?: boolean;
  readonly told: Told;
}

export interface Script {
  /** MiB. */
  readonly size: number;
  readonly make?: string;
  readonly fresh: { readonly blocks: number; readonly free: number; readonly files: number; readonly inodes: number };
  readonly steps: readonly ScriptStep[];
}

type Answer = number | Errno | undefined;

export class ScriptRun {
  readonly host: Host = createHost({ seed: 1, memory: 2 ** 34 });
  readonly fs: Xfs;
  readonly task: Task;
  readonly #files = new Map<string, number>();

  constructor(script: Pick<Script, "size" | "make">) {
    const disk = this.host.addDisk({ size: script.size * 2 ** 20 });
    const made = this.host.mkfs("xfs", disk.name, script.make);
    if (made !== undefined) throw new Error(`mkfs: ${made.code}`);
    this.host.task.mkdir("/mnt");
    const failed = this.host.mount({ type: "xfs", source: disk.name, target: "/mnt" });
    if (failed !== undefined) throw new Error(`mount: ${failed.errno.code} ${failed.message}`);
    const root = this.host.task.resolve("/mnt");
    if (isErrno(root)) throw new Error(root.code);
    this.fs = root.mount.fs as Xfs;
    const task = this.host.task.chroot("/mnt");
    if (isErrno(task)) throw new Error(task.code);
    this.task = task;
    this.task.umask = 0;
  }

  #withFile(path: string, flags: number, run: (fd: number) => Answer): Answer {
    const fd = this.task.open(path, flags, 0o644);
    if (isErrno(fd)) return fd;
    const answer = run(fd);
    this.task.close(fd);
    return answer;
  }

  #write(fd: number, length: number, offset: number): Answer {
    return length === 0 ? 0 : this.task.pwrite(fd, Content.repeat(Uint8Array.of(120), length), offset);
  }

  #files_(step: ScriptStep, act: (path: string) => void): void {
    const { path = "", first = 0, count = 0, by = 1 } = step;
    for (let n = first; n < first + count; n += by) act(`${path}/${String(n).padStart(step.name as number, "n")}`);
  }

  /** Makes a step's call. */
  act(step: ScriptStep): Answer {
    const { task } = this;
    const { path = "", to = "", fd = "", offset = 0, length = 0, mode = 0 } = step;
    switch (step.call) {
      case "write":
        return this.#withFile(path, O_WRONLY | O_CREAT, (file) => this.#write(file, length, offset));
      case "open": {
        const file = task.open(path, O_RDWR | O_CREAT, 0o644);
        if (isErrno(file)) return file;
        this.#files.set(fd, file);
        return undefined;
      }
      case "pwrite":
        return this.#write(this.#files.get(fd) ?? -1, length, offset);
      case "close":
        return task.close(this.#files.get(fd) ?? -1);
      case "mkdir":
        return task.mkdir(path, 0o755);
      case "symlink":
        return task.symlink("y".repeat(length), path);
      case "mknod":
        return task.mknod(path, S_IFIFO | 0o644);
      case "link":
        return task.link(path, to);
      case "rename":
        return task.rename(path, to);
      case "truncate":
        return task.truncate(path, length);
      case "fallocate":
        return this.#withFile(path, O_RDWR | O_CREAT, (file) => task.fallocate(file, mode, offset, length));
      case "clone":
        return this.#clone(step);
      case "unlink":
        return task.unlink(path);
      case "rmdir":
        return task.rmdir(path);
      case "setxattr":
        return task.setxattr(path, step.name as string, new Uint8Array(length).fill(120));
      case "removexattr":
        return task.removexattr(path, step.name as string);
      case "files":
        this.#files_(step, (file) => void this.#withFile(file, O_WRONLY | O_CREAT, (one) => this.#write(one, length, 0)));
        return undefined;
      case "unlinkFiles":
        this.#files_(step, (file) => void task.unlink(file));
        return undefined;
      case "sync":
        return task.syncfs();
      default:
        throw new Error(`no call ${step.call}`);
    }
  }

  #clone({ path = "", to = "", from = 0, length = 0, offset = 0 }: ScriptStep): Answer {
    return this.#withFile(path, O_RDONLY, (one) =>
      this.#withFile(to, O_WRONLY | O_CREAT, (two) => {
        const source = this.task.files.file(one);
        const target = this.task.files.file(two);
        if (isErrno(source) || isErrno(target)) return -1;
        return this.fs.clone(source.handle, from, target.handle, offset, length);
      }),
    );
  }

  /** What there is to tell after a step. */
  told(step: ScriptStep): Told {
    const answer = this.act(step);
    if (step.synced === true) this.task.syncfs();
    const { blocksFree, files, filesFree } = this.fs.statfs();
    const told: { -readonly [K in keyof Told]: Told[K] } = { free: blocksFree, inodes: files - filesFree };
    if (isErrno(answer)) told.errno = answer.code;
    else if (answer !== undefined) told.value = answer;
    const shown = step.to ?? step.path;
    const found = shown === undefined ? undefined : this.task.lstat(shown);
    if (found === undefined || isErrno(found)) return told;
    told.ino = found.inodeNumber;
    told.size = found.size;
    told.sectors = found.blocks;
    if ((found.mode & S_IFMT) !== S_IFREG) return told;
    // The recorder opens the file to ask for its extents: that close counts, too.
    this.#withFile(shown as string, O_RDONLY, () => {
      if (step.told.extents !== undefined) told.extents = this.fs.extents(found.inodeNumber as unknown as Inode);
      return undefined;
    });
    return told;
  }

  check(): void {
    this.fs.check();
  }
}
