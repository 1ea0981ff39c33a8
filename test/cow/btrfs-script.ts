/** Commands of recorded btrfs scripts, made on a lab: what is recorded as text is done here as calls. */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import {
  assignQgroup,
  createQgroup,
  destroyQgroup,
  disableQuota,
  limitQgroup,
  rescanQuota,
  unassignQgroup,
} from "../../sim/cow/btrfs/quota-ioctl.ts";
import { qgroupId, qgroupLevel, qgroupName } from "../../sim/cow/btrfs/quotas.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../sim/vfs/filesystem.ts";
import { removeAll } from "../../src/drivers/files.ts";
import { type BtrfsLab, must } from "./btrfs-lab.ts";

/** What a command came to: a number of some calls, such as the bytes that were written. */
export type Outcome = number | Errno | undefined;

/** Modes of fallocate by the recorder's words. */
const FALLOCATE = {
  punch: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  falloc: 0,
  zero: FALLOC_FL_ZERO_RANGE,
  keep: FALLOC_FL_KEEP_SIZE,
} as const;

/** The number behind "name=". */
const numberIn = (word = ""): number => Number(word.slice(word.indexOf("=") + 1));

/** A size as btrfs-progs takes it. */
const sizeOf = (word: string): number => (word.endsWith("M") ? Number(word.slice(0, -1)) * 2 ** 20 : Number(word));

/** A group as the tool takes it: "0/256". */
function groupOf(word: string): number {
  const [level = "", id = ""] = word.split("/");
  return qgroupId(Number(level), Number(id));
}

function limit(lab: BtrfsLab, path: string, size: string): Outcome {
  const there = lab.host.task.stat(path);
  return isErrno(there) ? there : limitQgroup(lab.fs, lab.id(path), { referencedMax: sizeOf(size) }, lab.id(path));
}

function qgroup(lab: BtrfsLab, [, , verb, first = "", second = "", third = ""]: readonly string[]): Outcome {
  switch (verb) {
    case "create":
      return createQgroup(lab.fs, groupOf(first));
    case "destroy":
      return destroyQgroup(lab.fs, groupOf(first));
    case "assign":
      return assignQgroup(lab.fs, groupOf(first), groupOf(second));
    case "remove":
      return unassignQgroup(lab.fs, groupOf(first), groupOf(second));
    case "limit": {
      const [kind, size, rest] = first === "-e" ? ["exclusiveMax", second, third] : ["referencedMax", first, second];
      const bytes = size === "none" ? undefined : sizeOf(size);
      if (rest.startsWith("/")) return limit(lab, rest, size);
      return limitQgroup(lab.fs, groupOf(rest), { [kind]: bytes });
    }
    default:
      throw new Error(`what is btrfs qgroup ${verb}?`);
  }
}

function tool(lab: BtrfsLab, words: readonly string[]): Outcome {
  const [, group, verb, ...rest] = words;
  const groups: number[] = [];
  if (rest[0] === "-i") groups.push(groupOf(rest.splice(0, 2)[1] ?? ""));
  const [first = "", second = "", third = ""] = rest;
  if (group === "qgroup") return qgroup(lab, words);
  switch (`${group} ${verb}`) {
    case "quota enable":
      return lab.quota() as undefined;
    case "quota disable":
      return disableQuota(lab.fs);
    case "quota rescan":
      return rescanQuota(lab.fs);
    case "subvolume create":
      return lab.subvolume(first, groups);
    case "subvolume snapshot":
      return first === "-r" ? lab.snapshot(second, third, true, groups) : lab.snapshot(first, second, false, groups);
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
  const [verb, first = "", second = "", third = "", fourth = "", fifth = ""] = words;
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
    case "symlink":
      return task.symlink(first, second);
    case "fsync":
      return onFile(lab, first, O_RDONLY, (fd) => task.fsync(fd));
    case "truncate":
      return task.truncate(first, Number(second));
    case "xattr":
      return task.setxattr(first, "user.x", new TextEncoder().encode("v".repeat(Number(second))));
    case "punch":
    case "falloc":
    case "zero":
    case "keep":
      return onFile(lab, first, O_WRONLY, (fd) => task.fallocate(fd, FALLOCATE[verb], numberIn(second), numberIn(third)));
    case "copyrange":
      return onFile(lab, first, O_RDONLY, (from) =>
        onFile(lab, second, O_RDWR | O_CREAT, (to) => {
          task.lseek(from, numberIn(third), 0);
          task.lseek(to, numberIn(fifth), 0);
          return task.copyFileRange(from, to, numberIn(fourth));
        }),
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

/** Quota groups as `btrfs qgroup show` tells them: a subvolume's id or LEVEL/ID, referenced, exclusive. */
export function qgroupsOf(lab: BtrfsLab): (readonly [number | string, number, number])[] {
  const groups = [...(lab.fs.state.quotas?.groups.values() ?? [])].sort((one, other) => one.id - other.id);
  return groups.map(({ id, referenced, exclusive }) => [qgroupLevel(id) === 0 ? id : qgroupName(id), referenced, exclusive]);
}
