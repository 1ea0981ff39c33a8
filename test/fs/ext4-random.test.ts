/** Random calls on ext4 answer as the same calls on tmpfs, whatever is synced, dropped, ticked or remounted in between. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { seconds } from "../../sim/core/units.ts";
import { type Attributes, O_APPEND, O_CREAT, O_RDWR, O_TRUNC, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { testHost } from "../vfs/host.ts";
import { contentOf, Ext4Host, ext4Disk, MIB, value } from "./ext4-lab.ts";

interface Step {
  readonly call: string;
  readonly path: string;
  readonly to: string;
  readonly offset: number;
  readonly length: number;
  readonly seed: number;
}

function code(answer: unknown): unknown {
  if (isErrno(answer as Errno)) return (answer as Errno).code;
  return typeof answer === "number" ? answer : "ok";
}

/** Opens, calls, closes. */
function within(task: Task, path: string, flags: number, call: (fd: number) => unknown): unknown {
  const fd = task.open(path, flags);
  if (isErrno(fd)) return fd.code;
  const answer = code(call(fd));
  value(task.close(fd));
  return answer;
}

const RENAMES: Readonly<Record<string, number>> = { rename: 0, noreplace: 1, exchange: 2 };
const MODES: Readonly<Record<string, number>> = { allocate: 0, keep: 1, punch: 3, zero: 16, zeroKeep: 17 };
const encoder = new TextEncoder();

function make(task: Task, step: Step): unknown {
  const { path, to, offset, length } = step;
  const content = Content.pattern(step.seed, length);
  const rename = RENAMES[step.call];
  if (rename !== undefined) return code(task.rename(path, to, rename));
  switch (step.call) {
    case "write":
      return within(task, path, O_CREAT | O_RDWR, (fd) => task.pwrite(fd, content, offset));
    case "append":
      return within(task, path, O_CREAT | O_RDWR | O_APPEND, (fd) => task.write(fd, content));
    case "replace":
      return within(task, path, O_CREAT | O_RDWR | O_TRUNC, (fd) => task.write(fd, content));
    case "truncate":
      return code(task.truncate(path, offset));
    case "fsync":
      return within(task, path, O_RDWR, (fd) => task.fsync(fd));
    case "mkdir":
      return code(task.mkdir(path));
    case "rmdir":
      return code(task.rmdir(path));
    case "unlink":
      return code(task.unlink(path));
    case "link":
      return code(task.link(path, to));
    case "symlink":
      return code(task.symlink(`${step.seed} `.repeat(30), path));
    case "chmod":
      return code(task.chmod(path, step.seed & 0o7777));
    case "chown":
      return code(task.chown(path, step.seed, -1));
    case "xattr":
      return code(task.lsetxattr(path, `trusted.${step.seed % 3}`, encoder.encode("v".repeat(step.length % 900)), 0));
    case "unset":
      return code(task.lremovexattr(path, `trusted.${step.seed % 3}`));
    default:
      throw new Error(`no call ${step.call}`);
  }
}

/** The tree as far as both filesystems must agree: of directories neither size nor blocks. */
function tree(task: Task, folder: string, out: string[] = []): string[] {
  const entries = value(task.readdir(folder)) as readonly { name: string }[];
  for (const { name } of entries) {
    if (folder === "/" && name === "lost+found") continue;
    const path = folder === "/" ? `/${name}` : `${folder}/${name}`;
    const { mode, uid, nlink, size } = value(task.lstat(path)) as Attributes;
    const type = mode & S_IFMT;
    const names = (value(task.llistxattr(path)) as string[]).toSorted();
    const attributes = names.map((key) => `${key}=${(value(task.lgetxattr(path, key)) as Uint8Array).length}`).join();
    const shown = `${path} ${mode.toString(8)} ${uid} ${nlink} ${attributes}`;
    if (type === S_IFDIR) {
      out.push(shown);
      tree(task, path, out);
    } else out.push(`${shown} ${size} ${type === 0o120000 ? String(task.readlink(path)) : contentOf(task, path)}`);
  }
  return folder === "/" ? out.sort() : out;
}

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const CALLS =
  "write write write append append replace truncate truncate fsync mkdir mkdir rmdir unlink link symlink chmod chown xattr unset";
const call: fc.Arbitrary<Step> = fc.record({
  call: fc.constantFrom(...CALLS.split(" "), ...Object.keys(RENAMES)),
  path,
  to: path,
  offset: fc.nat({ max: 100_000 }),
  length: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 30_000 }), fc.constantFrom(4096, 8192)),
  seed: fc.nat({ max: 4000 }),
});
const steps = fc.array(call, { minLength: 10, maxLength: 120 });
const pauses = fc.array(fc.constantFrom("", "", "", "", "sync", "tick", "drop", "remount"), { minLength: 5, maxLength: 9 });

for (const memoryPages of [65_536, 6]) {
  test(`random calls on ext4 answer as on tmpfs and leave the same tree, with ${memoryPages} pages of memory`, () => {
    fc.assert(
      fc.property(steps, pauses, (calls, between) => {
        let host = new Ext4Host(ext4Disk(), { memoryPages });
        const other = testHost();
        for (const [n, step] of calls.entries()) {
          expect([n, step, make(host.task, step)]).toEqual([n, step, make(other.task, step)]);
          const pause = between[n % between.length];
          if (pause === "sync") value(host.task.syncfs());
          else if (pause === "tick") host.clock.advance(seconds(7));
          else if (pause === "drop") host.cache.dropAll();
          else if (pause === "remount") host = host.remount({ memoryPages });
          host.check();
        }
        expect(tree(host.task, "/")).toEqual(tree(other.task, "/"));
        host = host.remount({ memoryPages });
        host.check();
        expect(tree(host.task, "/")).toEqual(tree(other.task, "/"));
      }),
      runs(60),
    );
  });
}

/** A file as plain bytes, and where each call leaves it. */
class Bytes {
  raw = Buffer.alloc(0);
  resize(size: number): void {
    const made = Buffer.alloc(size);
    this.raw.copy(made, 0, 0, Math.min(size, this.raw.length));
    this.raw = made;
  }
  write(offset: number, content: Content): void {
    if (offset + content.length > this.raw.length) this.resize(offset + content.length);
    Buffer.from(content.toBytes()).copy(this.raw, offset);
  }
  zero(offset: number, end: number): void {
    this.raw.fill(0, Math.min(offset, this.raw.length), Math.min(end, this.raw.length));
  }
}

const dataCall = fc.record({
  call: fc.constantFrom(
    "write",
    "write",
    "write",
    "truncate",
    ...Object.keys(MODES),
    "collapse",
    "insert",
    "fsync",
    "tick",
    "drop",
  ),
  offset: fc.oneof(
    fc.nat({ max: 90_000 }),
    fc.nat({ max: 20 }).map((n) => n * 4096),
  ),
  length: fc.oneof(
    fc.integer({ min: 1, max: 30_000 }),
    fc.integer({ min: 1, max: 8 }).map((n) => n * 4096),
  ),
  seed: fc.nat({ max: 1000 }),
});

function change(host: Ext4Host, fd: number, model: Bytes, step: Omit<Step, "path" | "to">): void {
  const { offset, length } = step;
  const end = offset + length;
  const mode = MODES[step.call];
  if (step.call === "write") {
    const content = Content.pattern(step.seed, length);
    expect(host.task.pwrite(fd, content, offset)).toBe(length);
    model.write(offset, content);
  } else if (step.call === "truncate") {
    value(host.task.ftruncate(fd, offset));
    model.resize(offset);
  } else if (mode !== undefined) {
    value(host.task.fallocate(fd, mode, offset, length));
    if ((mode & 1) === 0 && end > model.raw.length) model.resize(end);
    if (mode >= 3) model.zero(offset, end);
  } else if (step.call === "collapse") {
    const fits = offset % 4096 === 0 && length % 4096 === 0 && end < model.raw.length;
    expect(host.task.fallocate(fd, 8, offset, length)?.code).toBe(fits ? undefined : "EINVAL");
    if (fits) model.raw = Buffer.concat([model.raw.subarray(0, offset), model.raw.subarray(end)]);
  } else if (step.call === "insert") {
    const fits = offset % 4096 === 0 && length % 4096 === 0 && offset < model.raw.length;
    expect(host.task.fallocate(fd, 32, offset, length)?.code).toBe(fits ? undefined : "EINVAL");
    if (fits) model.raw = Buffer.concat([model.raw.subarray(0, offset), Buffer.alloc(length), model.raw.subarray(offset)]);
  } else if (step.call === "fsync") value(host.task.fsync(fd));
  else if (step.call === "tick") host.clock.advance(seconds(step.seed % 60));
  else host.cache.dropAll();
}

for (const memoryPages of [65_536, 5]) {
  test(`random changes of one file's data and extents leave what plain bytes say, with ${memoryPages} pages of memory`, () => {
    fc.assert(
      fc.property(fc.array(dataCall, { maxLength: 60 }), (calls) => {
        let host = new Ext4Host(ext4Disk(16 * MIB), { memoryPages });
        const fd = value(host.task.open("/file", O_CREAT | O_RDWR)) as number;
        const model = new Bytes();
        for (const step of calls) {
          change(host, fd, model, step);
          host.check();
        }
        expect(contentOf(host.task, "/file")).toBe(model.raw.toString("latin1"));
        host = host.remount();
        host.check();
        expect(contentOf(host.task, "/file")).toBe(model.raw.toString("latin1"));
      }),
      runs(150),
    );
  });
}
