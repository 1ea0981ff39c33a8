/** Commands of recorded btrfs scripts, made on a lab: what is recorded as text is done here as calls. */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { limitQgroup, rescanQuota } from "../../sim/cow/btrfs/ioctl.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { removeAll } from "../../src/drivers/files.ts";
import { type BtrfsLab, must } from "./btrfs-lab.ts";

/** What a command came to: a number of some calls, such as the bytes that were written. */
export type Outcome = number | Errno | undefined;

const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

/** The number behind "name=". */
const numberIn = (word = ""): number => Number(word.slice(word.indexOf("=") + 1));

/** A size as btrfs-progs takes it. */
const sizeOf = (word: string): number => (word.endsWith("M") ? Number(word.slice(0, -1)) * 2 ** 20 : Number(word));

function limit(lab: BtrfsLab, path: string, size: string): Outcome {
  const there = lab.host.task.stat(path);
  return isErrno(there) ? there : limitQgroup(lab.fs, lab.id(path), { referencedMax: sizeOf(size) });
}

function tool(lab: BtrfsLab, [, group, verb, first = "", second = "", third = ""]: readonly string[]): Outcome {
  switch (`${group} ${verb}`) {
    case "quota enable":
      return lab.quota() as undefined;
    case "quota rescan":
      return rescanQuota(lab.fs);
    case "qgroup limit":
      return limit(lab, second, first);
    case "subvolume create":
      return lab.subvolume(first);
    case "subvolume snapshot":
      return first === "-r" ? lab.snapshot(second, third, true) : lab.snapshot(first, second);
    case "subvolume delete":
      return lab.remove(second);
    case "subvolume sync":
      return undefined;
    default:
      throw new Error(`what is btrfs ${group} ${verb}?`);
  }
}

function onFile(lab: BtrfsLab, path: string, flags: number, act: (fd: number) => Outcome): Outcome {
  const { task } = lab.host;
  const fd = task.open(path, flags, 0o644);
  if (isErrno(fd)) return fd;
  const outcome = act(fd);
  task.close(fd);
  return outcome;
}

/** Makes one command: of the tool, of the shell, or the name of a call with its arguments. */
export function perform(lab: BtrfsLab, op: string): Outcome {
  const words = op.split(" ");
  const [verb, first = "", second = "", third = "", fourth = ""] = words;
  const { task } = lab.host;
  switch (verb) {
    case "btrfs":
      return tool(lab, words);
    case "limit":
      return limit(lab, first, second);
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
    case "rm":
      return removeAll(task, second)?.errno;
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
    case "stat":
    case "listdir":
      return undefined;
    default:
      throw new Error(`what is ${op}?`);
  }
}

/** What the recorder did after each command: the tool wakes the cleaner when it commits, sync(2) does not. */
export function settleAfter(lab: BtrfsLab, op: string): void {
  if (op.startsWith("btrfs")) lab.settle();
  else must(lab.fs.sync());
  lab.fs.check();
}

/** Quota groups as `btrfs qgroup show` tells them: id, referenced, exclusive. */
export function qgroupsOf(lab: BtrfsLab): (readonly [number, number, number])[] {
  return [...(lab.fs.state.quotas?.groups.values() ?? [])].map((one) => [one.id, one.referenced, one.exclusive]);
}
