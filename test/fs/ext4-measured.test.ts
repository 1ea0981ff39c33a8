import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOTSUP } from "../../sim/core/errno.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CREAT,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFIFO,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Mounted, mounted, must, put } from "./ext4-mounted.ts";

/** What a step cost, as the recorder noted it from statfs before and after, and from the file's stat. */
interface Cost {
  readonly blocks: number;
  readonly inodes: number;
  readonly sectors?: number;
  readonly size?: number;
}

interface Step {
  readonly row: string;
  /** Whose stat the row shows; absent: none. */
  readonly path?: string;
  readonly run: (task: Task) => void;
}

function withFile(task: Task, path: string, run: (fd: number) => void): void {
  const fd = must(task.open(path, O_WRONLY | O_CREAT, 0o644));
  run(fd);
  must(task.close(fd));
}

function fileOf(row: string, path: string, length: number): Step {
  return { row, path, run: (task) => put(task, path, Content.pattern(length + 1, length)) };
}

function directoryOfFiles(row: string, path: string, content: Content): Step {
  const run = (task: Task): void => {
    must(task.mkdir(path, 0o755));
    for (let n = 0; n < 100; n++) put(task, `${path}/f${n}`, content);
  };
  return { row, path, run };
}

/** Every step of the recording, in its order: each begins with what those before it left. */
const steps: readonly Step[] = [
  fileOf("create empty file", "/empty", 0),
  fileOf("1 byte", "/one", 1),
  fileOf("4096 B", "/page", 4096),
  fileOf("4097 B", "/page1", 4097),
  fileOf("65536 B", "/64k", 65_536),
  fileOf("1048577 B", "/1m1", 1_048_577),
  { row: "mkdir", path: "/directory", run: (task) => must(task.mkdir("/directory", 0o755)) },
  ...[6, 59, 60, 1000].map((length): Step => {
    const path = `/link${length}`;
    return { row: `symlink ${length} B`, path, run: (task) => must(task.symlink("x".repeat(length), path)) };
  }),
  { row: "mkfifo", path: "/fifo", run: (task) => must(task.mknod("/fifo", S_IFIFO | 0o644)) },
  { row: "char dev 0:0 (whiteout)", path: "/whiteout", run: (task) => must(task.mknod("/whiteout", S_IFCHR, 0)) },
  { row: "hard link", run: (task) => must(task.link("/page1", "/hard")) },
  { row: "small xattr 8 B", path: "/page", run: (task) => must(task.setxattr("/page", "user.a", new Uint8Array(8))) },
  { row: "xattr 1000 B", path: "/64k", run: (task) => must(task.setxattr("/64k", "user.b", new Uint8Array(1000))) },
  {
    row: "sparse truncate 1 GiB",
    path: "/sparse",
    run: (task) => withFile(task, "/sparse", (fd) => must(task.ftruncate(fd, GIB(1)))),
  },
  { row: "write 1 B at end of 1 GiB hole", path: "/sparse", run: (task) => put(task, "/sparse", Content.text("x"), GIB(1) - 1) },
  { row: "1 MiB of zeros written", path: "/zeros", run: (task) => put(task, "/zeros", Content.zeros(MIB(1))) },
  fileOf("1 GiB file", "/big", GIB(1)),
  { row: "overwrite 1 byte mid", path: "/big", run: (task) => put(task, "/big", Content.text("x"), MIB(512)) },
  { row: "append 1 byte to 4096 file", path: "/page", run: (task) => put(task, "/page", Content.text("x"), 4096) },
  { row: "truncate 1048577->524288", path: "/1m1", run: (task) => must(task.truncate("/1m1", 524_288)) },
  {
    row: "punch hole 64K in big at 128K",
    path: "/big",
    run: (task) =>
      withFile(task, "/big", (fd) => must(task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, KIB(128), KIB(64)))),
  },
  {
    row: "fallocate 1 MiB",
    path: "/allocated",
    run: (task) => withFile(task, "/allocated", (fd) => must(task.fallocate(fd, 0, 0, MIB(1)))),
  },
  { row: "reflink 64K file", run: refusedClone },
  directoryOfFiles("100 x 4 KiB files in new dir", "/hundred", Content.pattern(3, 4096)),
  directoryOfFiles("100 empty files in new dir", "/hundredEmpty", Content.empty),
  { row: "delete 65536 B file", run: (task) => must(task.unlink("/64k")) },
  { row: "delete truncated 512K file", run: (task) => must(task.unlink("/1m1")) },
  { row: "rmdir", run: (task) => must(task.rmdir("/directory")) },
  {
    row: "delete 100 files",
    run: (task) => {
      for (let n = 0; n < 100; n++) must(task.unlink(`/hundred/f${n}`));
      must(task.rmdir("/hundred"));
    },
  },
  { row: "delete 1 GiB", run: (task) => must(task.unlink("/big")) },
];

/** FICLONE of a file into a new one: ext4 refuses it, the new file stays. */
function refusedClone(task: Task): void {
  const from = must(task.open("/64k", O_RDONLY));
  withFile(task, "/clone", (fd) => expect(task.clone(from, fd)).toBe(ENOTSUP));
  must(task.close(from));
}

function field(line: string, name: string): number | undefined {
  const found = new RegExp(`\\b${name}=(-?\\d+)`).exec(line);
  return found === null ? undefined : Number(found[1]);
}

const [head = "", ...lines] = readFileSync(new URL("../data/vectors/mx-ext4.out", import.meta.url), "utf8")
  .trimEnd()
  .split("\n");
const root = lines.pop() ?? "";

function recorded(line: string): Cost {
  const sectors = field(line, "st_blocks");
  const size = field(line, "size");
  const cost = { blocks: field(line, "dfree_blocks") ?? 0, inodes: field(line, "dfree_inodes") ?? 0 };
  return sectors === undefined || size === undefined ? cost : { ...cost, sectors, size };
}

/** Takes a step, syncs, and says what it cost. */
function costOf(lab: Mounted, step: Step): Cost {
  const before = must(lab.task.statfs("/"));
  step.run(lab.task);
  must(lab.task.syncfs());
  const after = must(lab.task.statfs("/"));
  const cost = { blocks: before.blocksFree - after.blocksFree, inodes: before.filesFree - after.filesFree };
  if (step.path === undefined) return cost;
  const { blocks, size } = must(lab.task.lstat(step.path));
  return { ...cost, sectors: blocks, size };
}

describe("on 4 GiB, as the kernel's ext4 was measured,", () => {
  let lab: Mounted;
  beforeAll(() => {
    lab = mounted(GIB(4));
  });

  test("a fresh filesystem's statfs is equal, and its root is", () => {
    const { blockSize, blocks, blocksFree, blocksAvailable, files, filesFree } = must(lab.task.statfs("/"));
    const names = ["bsize", "blocks", "free", "avail", "files", "ffree"];
    expect([blockSize, blocks, blocksFree, blocksAvailable, files, filesFree]).toEqual(names.map((name) => field(head, name)));
    const found = must(lab.task.stat("/"));
    expect([found.inodeNumber, found.blocks, found.size]).toEqual(["ino", "blocks", "size"].map((name) => field(root, name)));
  });

  test("the recording has the steps that are taken here", () => {
    expect(lines.map((line) => line.slice(0, 44).trimEnd())).toEqual(steps.map((step) => step.row));
  });

  for (const [index, step] of steps.entries())
    test(`"${step.row}" costs the same blocks and inodes and shows the same size`, () => {
      expect(costOf(lab, step)).toEqual(recorded(lines[index] ?? ""));
      if (index === steps.length - 1) lab.host.check();
    });
});
