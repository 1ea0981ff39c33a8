/** Runs the call steps of a recorded trace with one tree on a task, and tells where the answers differ. */
import { readFileSync } from "node:fs";
import { type Time, timeFromNanoseconds, timeToNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EBADF, type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, majorOf, milliseconds, minorOf } from "../../sim/core/units.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import * as filesystem from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { TestHost } from "./host.ts";

// biome-ignore lint/suspicious/noExplicitAny: a step is whatever the trace says.
type Step = Record<string, any>;

const TYPES: Record<number, string> = {
  [filesystem.S_IFREG]: "file",
  [filesystem.S_IFDIR]: "dir",
  [filesystem.S_IFLNK]: "symlink",
  [filesystem.S_IFCHR]: "char",
  [filesystem.S_IFBLK]: "block",
  [filesystem.S_IFIFO]: "fifo",
  [filesystem.S_IFSOCK]: "socket",
};
const MODES: Record<string, number> = Object.fromEntries(Object.entries(TYPES).map(([mode, name]) => [name, Number(mode)]));

class TraceRunner {
  readonly #task: Task;
  readonly #host: TestHost;
  readonly #fds = new Map<string, number>();
  readonly #inodes = new Map<number, number>();
  readonly #times = new Map<string, bigint>();

  constructor(host: TestHost) {
    this.#host = host;
    this.#task = host.task;
  }

  /** @returns the answer in the trace's form. */
  run(step: Step): unknown {
    const task = step["as"] === undefined ? this.#task : this.#as(step["as"]);
    task.umask = step["umask"] === undefined ? 0 : Number.parseInt(step["umask"], 8);
    const value = this.#call(task, step);
    if (isErrno(value)) return { errno: value.code };
    return value === undefined || value === null ? { ok: true } : { value };
  }

  #as(who: { uid: number; gid: number; groups?: number[] }): Task {
    return this.#task.withCredentials(credentialsOf(who.uid, who.gid, who.groups ?? []));
  }

  #call(task: Task, step: Step): unknown {
    const fd = this.#fds.get(step["fd"]) ?? -1;
    // The recorder answers for descriptors that it never got.
    if (step["call"] !== "open" && step["fd"] !== undefined && fd < 0) return EBADF;
    const { path, to } = step as { path: string; to: string };
    const flags = () =>
      ((step["flags"] ?? []) as string[]).reduce(
        (bits, name) => bits | ((filesystem as unknown as Record<string, number>)[name] ?? 0),
        0,
      );
    const mode = (otherwise: string) => Number.parseInt(step["mode"] ?? otherwise, 8);
    switch (step["call"]) {
      case "open": {
        const made = task.open(path, flags(), mode("0644"));
        if (isErrno(made)) return made;
        this.#fds.set(step["fd"], made);
        return undefined;
      }
      case "close":
        this.#fds.delete(step["fd"]);
        return task.close(fd);
      case "write":
        return task.write(fd, contentOf(step["data"]));
      case "pwrite":
        return task.pwrite(fd, contentOf(step["data"]), step["offset"]);
      case "read":
        return shown(task.read(fd, step["len"]));
      case "pread":
        return shown(task.pread(fd, step["len"], step["offset"]));
      case "truncate":
        return task.truncate(path, step["len"]);
      case "ftruncate":
        return task.ftruncate(fd, step["len"]);
      case "stat":
        return this.#shownStat(task.stat(path), step["dirnlink"]);
      case "lstat":
        return this.#shownStat(task.lstat(path), step["dirnlink"]);
      case "fstat":
        return this.#shownStat(task.fstat(fd), step["dirnlink"]);
      case "mkdir":
        return task.mkdir(path, mode("0755"));
      case "rmdir":
        return task.rmdir(path);
      case "unlink":
        return task.unlink(path);
      case "link":
        return task.link(path, to);
      case "symlink":
        return task.symlink(step["target"], path);
      case "readlink":
        return task.readlink(path);
      case "rename":
        return task.rename(
          path,
          to,
          ((step["flags"] ?? []) as string[]).reduce(
            (bits, name) => bits | ({ NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 }[name] ?? 0),
            0,
          ),
        );
      case "mknod": {
        const [major, minor] = step["rdev"] ?? [0, 0];
        return task.mknod(path, (MODES[step["type"]] ?? 0) | mode("0644"), deviceNumber(major, minor));
      }
      case "chmod":
        return task.chmod(path, mode("0"));
      case "chown":
        return task.chown(path, step["uid"], step["gid"]);
      case "lchown":
        return task.lchown(path, step["uid"], step["gid"]);
      case "utimens":
        return task.utimens(path, timeOf(step["atime"]), timeOf(step["mtime"]), step["nofollow"] === true);
      case "atime":
      case "mtime":
        return this.#time(task, step, step["call"]);
      case "times": {
        const now = this.#time(task, step, step["of"]);
        if (isErrno(now)) return now;
        const before = this.#times.get(step["key"]);
        this.#times.set(step["key"], now as bigint);
        if (before === undefined) return undefined;
        return now === before ? "same" : (now as bigint) > before ? "later" : "earlier";
      }
      case "access":
        return task.access(
          path,
          [...step["want"]].reduce((mask, letter) => mask | ({ r: 4, w: 2, x: 1 }[letter as string] ?? 0), 0),
        );
      case "readdir": {
        const rows = task.readdir(path);
        return isErrno(rows) ? rows : rows.map((row) => [row.name, TYPES[row.type]]).sort(byFirst);
      }
      case "setxattr":
        return task.setxattr(
          path,
          step["name"],
          new TextEncoder().encode(step["value"]),
          { CREATE: 1, REPLACE: 2 }[step["flags"]?.[0] as string] ?? 0,
        );
      case "getxattr": {
        const found = task.getxattr(path, step["name"]);
        return isErrno(found) ? found : new TextDecoder("latin1").decode(found);
      }
      case "listxattr": {
        const found = task.listxattr(path);
        return isErrno(found) ? found : found.sort();
      }
      case "removexattr":
        return task.removexattr(path, step["name"]);
      case "lseek":
        return task.lseek(
          fd,
          step["offset"],
          ["SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"].indexOf(step["whence"]),
        );
      case "fchmod":
        return task.fchmod(fd, mode("0"));
      case "fchown":
        return task.fchown(fd, step["uid"], step["gid"]);
      case "fsync":
        return task.fsync(fd);
      case "fdatasync":
        return task.fdatasync(fd);
      case "sync":
        return task.syncfs();
      case "copy_file_range":
        return task.copyFileRange(fd, this.#fds.get(to) ?? -1, step["len"]);
      case "clone":
        return task.clone(fd, this.#fds.get(to) ?? -1);
      case "fallocate":
        return task.fallocate(
          fd,
          ((step["flags"] ?? []) as string[]).reduce((bits, name) => bits | (FALLOCATE[name] ?? 0), 0),
          step["offset"],
          step["len"],
        );
      case "mmap":
        return task.mmap(fd, step["prot"], step["share"] ?? "shared");
      case "tree":
        return this.#tree(task, path ?? "/").sort(byFirst);
      default:
        throw new Error(`no call ${step["call"]} here`);
    }
  }

  /** Everything below a folder, as FORMAT's `tree` shows it. */
  #tree(task: Task, folder: string): unknown[][] {
    const rows: unknown[][] = [];
    const entries = task.readdir(folder);
    for (const entry of isErrno(entries) ? [] : entries) {
      const path = `${folder === "/" ? "" : folder}/${entry.name}`;
      const found = task.lstat(path) as filesystem.Attributes;
      const type = TYPES[found.mode & filesystem.S_IFMT];
      const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
      let content: unknown = null;
      if (type === "symlink") content = task.readlink(path);
      if (type === "file") {
        const fd = task.open(path, 0) as number;
        content = shown(task.read(fd, found.size));
        task.close(fd);
      }
      const xattrs: Record<string, string> = {};
      for (const name of task.llistxattr(path) as string[])
        if (name.startsWith("user.")) xattrs[name] = new TextDecoder("latin1").decode(task.lgetxattr(path, name) as Uint8Array);
      rows.push([path, type, mode, found.uid, found.gid, type === "dir" ? null : found.nlink, content, xattrs]);
      if (type === "dir") rows.push(...this.#tree(task, path));
    }
    return rows;
  }

  #time(task: Task, step: Step, of: string): bigint | Errno {
    const found = step["nofollow"] === true ? task.lstat(step["path"]) : task.stat(step["path"]);
    return isErrno(found) ? found : timeToNanoseconds(found[of as "atime"]);
  }

  #shownStat(found: filesystem.Attributes | Errno, dirnlink: boolean): unknown {
    if (isErrno(found)) return found;
    const known = this.#inodes.get(found.inodeNumber) ?? this.#inodes.size + 1;
    this.#inodes.set(found.inodeNumber, known);
    const type = TYPES[found.mode & filesystem.S_IFMT] as string;
    const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
    const out: Step = { type, mode, uid: found.uid, gid: found.gid, ino: known, dev: 1 };
    if (type !== "dir" || dirnlink) out["nlink"] = found.nlink;
    if (type === "file" || type === "symlink") out["size"] = found.size;
    if (type === "char" || type === "block") out["rdev"] = [majorOf(found.rdev), minorOf(found.rdev)];
    return out;
  }

  tick(ms: number): void {
    this.#host.clock.advance(milliseconds(ms));
  }
}

const FALLOCATE: Record<string, number> = {
  KEEP_SIZE: 1,
  PUNCH_HOLE: 2,
  COLLAPSE_RANGE: 8,
  ZERO_RANGE: 16,
  INSERT_RANGE: 32,
  UNSHARE: 64,
};

function byFirst(one: unknown[], other: unknown[]): number {
  return String(one[0]) < String(other[0]) ? -1 : 1;
}

function timeOf(value: number | string): Time | "NOW" | "OMIT" {
  return typeof value === "string" ? (value as "NOW") : timeFromNanoseconds(BigInt(value));
}

function contentOf(data: string | { fill: string; len: number }): Content {
  if (typeof data === "string") return Content.text(data);
  return Content.repeat(new TextEncoder().encode(data.fill), data.len);
}

function shown(found: Content | Errno): unknown {
  if (isErrno(found)) return found;
  const text = found.length <= 64 ? found.toText() : "";
  return /^[ -~]*$/.test(text) && found.length <= 64 ? { data: text } : { len: found.length, sha256: found.sha256() };
}

/** Runs a trace's calls. @returns one line for each answer that is not the recorded one. */
export function runTrace(host: TestHost, file: string): { steps: number; differences: string[] } {
  const runner = new TraceRunner(host);
  const differences: string[] = [];
  const others = new Set<string>();
  let steps = 0;
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const step = JSON.parse(line) as Step;
    if (step["lab"] === "tick") runner.tick(step["ms"]);
    // A layer over another begins as a copy of its tree, which is not this runner's affair.
    if (step["lab"] !== undefined && step["lab"] !== "tick" && step["parent"] !== undefined) others.add(step["name"]);
    if (step["call"] === undefined || others.has(step["on"])) continue;
    steps += 1;
    const got = JSON.stringify(runner.run(step), (_key, value) => (typeof value === "bigint" ? Number(value) : value));
    const want = JSON.stringify(sorted(step["result"]));
    if (JSON.stringify(sorted(JSON.parse(got))) !== want) differences.push(`${line} got ${got}`);
    host.check();
  }
  return { steps, differences };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
