/**
 * Streams of Linux 6.18 for scripts of changes (test/data/btrfs/sends.ndjson: btrfs send of a snapshot, and of a later one with `-p`, printed by
 * `btrfs receive --dump` of btrfs-progs 6.2): the same changes here send the same commands in the same order, which a receiver makes the same tree of.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFSOCK,
} from "../../sim/vfs/filesystem.ts";
import { neutral, treeOf } from "./btrfs-changes.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

interface Recorded {
  readonly name: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly options?: string;
  readonly full: readonly string[];
  readonly change: readonly string[];
}

const RECORDED = readFileSync(new URL("../data/btrfs/sends.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

const times = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);
const longName = (n: number): string => `${String(n).padStart(4, "0")}${"x".repeat(246)}`;

/** Changes of a subvolume by the recorder's words. */
const OPERATIONS: Readonly<Record<string, (lab: BtrfsLab, path: (at: number) => string, words: readonly string[]) => unknown>> = {
  mkdir: ({ host: { task } }, path) => task.mkdir(path(1), 0o755),
  write: (lab, path, words) =>
    lab.write(path(1), Content.pattern(words.join(" ").length + Number(words[3]), Number(words[3])), Number(words[2])),
  zeros: (lab, path, words) => lab.write(path(1), Content.zeros(Number(words[3])), Number(words[2])),
  mv: ({ host: { task } }, path) => task.rename(path(1), path(2)),
  ln: ({ host: { task } }, path) => task.link(path(1), path(2)),
  rm: ({ host: { task } }, path) => task.unlink(path(1)),
  rmdir: ({ host: { task } }, path) => task.rmdir(path(1)),
  symlink: ({ host: { task } }, path, [, target = ""]) => task.symlink(target, path(2)),
  truncate: ({ host: { task } }, path, words) => task.truncate(path(1), Number(words[2])),
  setxattr: ({ host: { task } }, path, [, , name = "", value = ""]) =>
    task.setxattr(path(1), name, new TextEncoder().encode(value)),
  rmxattr: ({ host: { task } }, path, [, , name = ""]) => task.removexattr(path(1), name),
  chmod: ({ host: { task } }, path, words) => task.chmod(path(1), Number.parseInt(words[2] ?? "", 8)),
  share: (lab, path, words) => share(lab, path(1), path(2), words.slice(3).map(Number)),
  punch: (lab, path, words) => fallocate(lab, path(1), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, words),
  falloc: (lab, path, words) => fallocate(lab, path(1), words.length > 4 ? FALLOC_FL_KEEP_SIZE : 0, words),
  many: ({ host: { task } }, path, words) => times(Number(words[2])).map((n) => must(task.mkdir(`${path(1)}${n}`, 0o755))),
  touchall: (lab, path, words) => times(Number(words[2])).map((n) => must(lab.write(`${path(1)}${n}/x`, ""))),
  lnmany: ({ host: { task } }, path, words) =>
    times(Number(words[3])).map((n) => must(task.link(path(1), `${path(2)}/${longName(n)}`))),
  rmmany: ({ host: { task } }, path, words) =>
    times(Number(words[3]) - Number(words[2])).map((n) => must(task.unlink(`${path(1)}/${longName(Number(words[2]) + n)}`))),
  fifo: ({ host: { task } }, path) => task.mknod(path(1), S_IFIFO | 0o644),
  sock: ({ host: { task } }, path) => task.mknod(path(1), S_IFSOCK | 0o644),
  node: ({ host: { task } }, path, [, , kind, major, minor]) =>
    task.mknod(path(1), (kind === "c" ? S_IFCHR : S_IFBLK) | 0o644, deviceNumber(Number(major), Number(minor))),
  sync: (lab) => lab.fs.sync(),
  subvol: (lab, path) => lab.subvolume(path(1)),
};

function share(
  { host: { task }, fs }: BtrfsLab,
  source: string,
  target: string,
  [from = 0, length = 0, to = 0]: readonly number[],
): void {
  const input = must(task.open(source, O_RDONLY));
  const output = must(task.open(target, O_RDWR | O_CREAT, 0o644));
  must(fs.clone(must(task.files.file(input)).handle, from, must(task.files.file(output)).handle, to, length));
  task.close(input);
  task.close(output);
}

function fallocate({ host: { task } }: BtrfsLab, path: string, mode: number, words: readonly string[]): void {
  const fd = must(task.open(path, O_RDWR | O_CREAT, 0o644));
  must(task.fallocate(fd, mode, Number(words[2]), Number(words[3])));
  task.close(fd);
}

function perform(lab: BtrfsLab, op: string): void {
  const words = op.split(" ");
  const operation = OPERATIONS[words[0] ?? ""];
  if (operation === undefined) throw new Error(`what is ${op}?`);
  const done = operation(lab, (at) => `/m/s/${words[at]}`, words);
  if (isErrno(done)) throw new Error(`${op}: ${done.code}`);
}

/** The commands that a subvolume sends, as the tool prints them; what the receiver has afterwards is what was sent. */
function sent(lab: BtrfsLab, to: BtrfsLab, name: string, parent?: string): string[] {
  const raw = encodeStream(
    must(send(lab.fs, lab.id(`/m/${name}`), name, parent === undefined ? undefined : lab.id(`/m/${parent}`))),
  );
  const commands = decodeStream(raw);
  if (commands instanceof StreamProblem) throw new Error(commands.message);
  expect(receive({ task: to.host.task, folder: "/m", top: "/m" }, commands)).toBeUndefined();
  // Subvolumes are not sent, nor what stands for them.
  const { task } = lab.host;
  const isSent = (line: string): boolean => must(task.lstat(`/m/${name}${line.split(" ")[0]}`)).inodeNumber !== 2;
  expect(treeOf(to.host.task, `/m/${name}`)).toEqual(treeOf(task, `/m/${name}`).filter(isSent));
  to.fs.check();
  return neutral(dumpStream(commands)).map((line) => line.replace(/ [am]time=\S+/g, "").trim());
}

describe("the kernel's commands are sent when", () => {
  test.each(RECORDED)("$name", ({ before, after, full, change, options = "" }) => {
    const lab = new BtrfsLab({ size: MIB(600), options });
    const to = new BtrfsLab({ size: MIB(600) });
    must(lab.subvolume("/m/s"));
    for (const op of before) perform(lab, op);
    must(lab.snapshot("/m/s", "/m/s1", true));
    for (const op of after) perform(lab, op);
    must(lab.snapshot("/m/s", "/m/s2", true));
    expect(sent(lab, to, "s1")).toEqual(full);
    expect(sent(lab, to, "s2", "s1")).toEqual(change);
    lab.fs.check();
  });
});
