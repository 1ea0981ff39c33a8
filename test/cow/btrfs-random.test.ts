/**
 * Random scripts on a real btrfs of 4 GiB with quotas (Linux 6.18, btrfs-progs 6.2): results, and after each step and a sync the space that `btrfs filesystem
 * df`, statfs and `btrfs qgroup show` tell (test/data/btrfs/random: `use` is data, its chunks, metadata, statfs, [group, referenced, exclusive] where
 * it changed).
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { limitQgroup } from "../../sim/cow/btrfs/ioctl.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab } from "./btrfs-lab.ts";

interface Recorded {
  readonly op: string;
  /** "ok", what write(2) returned, "E" and the number of an error, or "failed" of a tool. */
  readonly result: string | number;
  readonly use?: readonly unknown[];
}

type Outcome = number | Errno | undefined;

const FOLDER = new URL("../data/btrfs/random/", import.meta.url);
const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

/** The number behind "name=". */
const numberIn = (word = ""): number => Number(word.slice(word.indexOf("=") + 1));

function tool(lab: BtrfsLab, words: readonly string[]): Outcome {
  const [, group, verb, first = "", second = "", third = ""] = words;
  if (group === "quota") return lab.quota() as undefined;
  if (verb === "create") return lab.subvolume(first);
  if (verb === "delete") return lab.remove(second);
  return first === "-r" ? lab.snapshot(second, third, true) : lab.snapshot(first, second);
}

function onFile(lab: BtrfsLab, path: string, flags: number, act: (fd: number) => Outcome): Outcome {
  const { task } = lab.host;
  const fd = task.open(path, flags, 0o644);
  if (isErrno(fd)) return fd;
  const outcome = act(fd);
  task.close(fd);
  return outcome;
}

function perform(lab: BtrfsLab, op: string): Outcome {
  const words = op.split(" ");
  const [verb = "", first = "", second = "", third = "", fourth = ""] = words;
  const { task } = lab.host;
  switch (verb) {
    case "btrfs":
      return tool(lab, words);
    case "limit": {
      const there = task.stat(first);
      return isErrno(there) ? there : limitQgroup(lab.fs, lab.id(first), { referencedMax: Number(second) });
    }
    case "write":
      return lab.write(first, Content.pattern(numberIn(fourth), numberIn(third)), numberIn(second));
    case "rename":
      return task.rename(first, second);
    case "link":
      return task.link(first, second);
    case "unlink":
      return task.unlink(first);
    case "mkdir":
      return task.mkdir(first, 0o755);
    case "rmdir":
      return task.rmdir(first);
    case "chmod":
      return task.chmod(first, 0o600);
    case "truncate":
      return task.truncate(first, Number(second));
    case "xattr":
      return task.setxattr(first, "user.x", new TextEncoder().encode("v".repeat(Number(second))));
    case "punch":
    case "falloc":
      return onFile(lab, first, O_WRONLY, (fd) =>
        task.fallocate(fd, verb === "punch" ? PUNCH : 0, numberIn(second), numberIn(third)),
      );
    case "cp":
      return onFile(lab, second, O_RDONLY, (from) => onFile(lab, third, O_RDWR | O_CREAT, (to) => task.clone(from, to)));
    default:
      throw new Error(`what is ${op}?`);
  }
}

function told(op: string, outcome: Outcome): string | number {
  if (isErrno(outcome)) return op.startsWith("btrfs") || op.startsWith("limit") ? "failed" : `E${outcome.number}`;
  return op.startsWith("write") ? Number(outcome) : "ok";
}

function useOf(lab: BtrfsLab): unknown[] {
  const { data, metadata } = usage(lab.fs.state);
  const { blocks, blocksFree } = lab.fs.statfs();
  const groups = [...(lab.fs.state.quotas?.groups.values() ?? [])].map((one) => [one.id, one.referenced, one.exclusive]);
  return [data.used, data.total, metadata.used, (blocks - blocksFree) * 4096, groups];
}

test.each(readdirSync(FOLDER))("%s takes the space that the kernel's took, after every step", (name) => {
  const lab = new BtrfsLab({ size: GIB(4) });
  let use: readonly unknown[] | undefined;
  for (const [index, line] of readFileSync(new URL(name, FOLDER), "utf8").trim().split("\n").entries()) {
    const step = JSON.parse(line) as Recorded;
    const where = `${name}:${index + 1}: ${step.op}`;
    expect(told(step.op, perform(lab, step.op)), where).toBe(step.result);
    if (step.op.startsWith("btrfs")) lab.settle();
    else lab.fs.sync();
    lab.fs.check();
    use = step.use ?? use;
    expect(useOf(lab), where).toEqual(use);
  }
});
