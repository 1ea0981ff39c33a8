/** Send streams: bytes and texts as Linux 6.18 and btrfs-progs 6.2 make them, and what a receiver makes of ours. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EPERM, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { type Command, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import { O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function bytesOf(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../data/btrfs/${name}`, import.meta.url)));
}

function decoded(raw: Uint8Array): Command[] {
  const commands = decodeStream(raw);
  if (commands instanceof StreamProblem) throw new Error(commands.message);
  return commands;
}

function received(lab: BtrfsLab, commands: readonly Command[]): void {
  const failed = receive({ task: lab.host.task, folder: "/m", top: "/m" }, commands);
  if (failed === undefined) return;
  throw new Error(isErrno(failed) ? failed.code : `${failed.errno.code}: ${dumpStream([failed.command])}`);
}

/** What depends on the sender: its uuids and transactions, and times of changes. */
function neutral(lines: readonly string[]): string[] {
  return lines.map((line) =>
    line
      .replace(/uuid=[0-9a-f-]+/g, "uuid=U")
      .replace(/transid=\d+/g, "transid=T")
      .replace(/ ctime=\S+/, "")
      .replace(/\bo(\d+)-\d+-/g, "o$1-G-")
      .replace(/ +/g, " "),
  );
}

describe("a stream of bytes", () => {
  test.each(["mine", "full", "inc"])("%s.snd is decoded to what the tool prints, and encoded to the same bytes", (name) => {
    const raw = bytesOf(`${name}.snd`);
    const commands = decoded(raw);
    expect(`${dumpStream(commands).join("\n")}\n`).toBe(new TextDecoder().decode(bytesOf(`${name}.dump.txt`)));
    expect(encodeStream(commands)).toEqual(raw);
  });

  test("that is cut, changed or of another version is refused with the place", () => {
    const raw = bytesOf("mine.snd");
    expect(decodeStream(raw.subarray(0, 100))).toMatchObject({ message: expect.stringContaining("ends within a command") });
    expect(decodeStream(raw.subarray(0, 5))).toMatchObject({ message: expect.stringContaining("does not begin") });
    const changed = raw.slice();
    changed[60] = 0xff;
    expect(decodeStream(changed)).toMatchObject({ message: expect.stringContaining("checksum") });
    changed[13] = 2;
    expect(decodeStream(changed)).toMatchObject({ message: "version 2 is not known" });
  });
});

test("what the kernel sent is received, and sent again command by command", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  const full = decoded(bytesOf("full.snd"));
  received(lab, full);
  lab.fs.check();
  const first = must(send(lab.fs, lab.id("/m/A1"), "A1"));
  // The tool sets times last: what it wrote after them has newer ones there, none here.
  const plain = (commands: readonly Command[]): string[] =>
    neutral(dumpStream(commands)).map((line) => line.replace(/ [am]time=\S+/g, ""));
  expect(plain(first)).toEqual(plain(full));
  const change = decoded(bytesOf("inc.snd"));
  received(lab, change);
  lab.fs.check();
  const second = must(send(lab.fs, lab.id("/m/A2"), "A2", lab.id("/m/A1")));
  expect(plain(second)).toEqual(plain(change));
});

test("a subvolume that may be written is not sent", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  must(lab.subvolume("/m/w"));
  expect(send(lab.fs, lab.id("/m/w"), "w")).toBe(EPERM);
});

/** Everything below a folder: names, types, owners, links, contents, xattrs and mtimes. */
function treeOf(task: Task, top: string, folder = top, out: string[] = []): string[] {
  for (const { name } of must(task.readdir(folder)).sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = `${folder}/${name}`;
    const of = must(task.lstat(path));
    const type = of.mode & S_IFMT;
    let content = type === S_IFLNK ? must(task.readlink(path)) : "";
    if (type === S_IFREG) {
      const fd = must(task.open(path, O_RDONLY));
      content = must(task.pread(fd, of.size, 0)).sha256();
      task.close(fd);
    }
    const xattrs = must(task.llistxattr(path)).sort().join(",");
    out.push(
      `${path.slice(top.length)} ${of.mode.toString(8)} ${of.uid} ${of.nlink} ${type === S_IFDIR ? "" : of.size} ${content} ${xattrs}`,
    );
    if (type === S_IFDIR) treeOf(task, top, path, out);
  }
  return out;
}

const STEP = fc.record({
  kind: fc.integer({ min: 0, max: 11 }),
  one: fc.integer({ min: 0, max: 11 }),
  other: fc.integer({ min: 0, max: 11 }),
  length: fc.integer({ min: 0, max: 70_000 }),
});

function change(lab: BtrfsLab, step: { kind: number; one: number; other: number; length: number }, salt: number): void {
  const { task } = lab.host;
  const folders = ["/m/s", "/m/s/d0", "/m/s/d1", "/m/s/d0/e", "/m/s/d1/e", "/m/s/d0/e/g"];
  const path = (n: number): string => `${folders[n % folders.length]}/${n < 6 ? "f" : "h"}`;
  const folder = (n: number): string => folders[1 + (n % 5)] as string;
  const { kind, one, other, length } = step;
  if (kind <= 1) task.mkdir(folder(one), 0o750);
  else if (kind <= 4) lab.write(path(one), Content.pattern(salt, length), (other % 3) * 5000);
  else if (kind === 5) task.rename(folder(one), folder(other));
  else if (kind === 6) task.rename(path(one), path(other));
  else if (kind === 7) task.link(path(one), path(other));
  else if (kind === 8) task.unlink(path(one));
  else if (kind === 9) task.rmdir(folder(one));
  else if (kind === 10) task.symlink(`t${other}`, path(one));
  else {
    task.truncate(path(one), length);
    task.setxattr(path(one), `user.x${other % 2}`, Uint8Array.of(salt & 0xff));
    task.chmod(path(one), 0o600 + (other % 8));
  }
}

test("whatever changes between two snapshots, a receiver ends with the same trees", () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 30 }), fc.array(STEP, { maxLength: 30 }), (before, after) => {
      const lab = new BtrfsLab({ size: MIB(600) });
      const to = new BtrfsLab({ size: MIB(600) });
      must(lab.subvolume("/m/s"));
      let salt = 1;
      for (const step of before) change(lab, step, salt++);
      must(lab.snapshot("/m/s", "/m/s1", true));
      for (const step of after) change(lab, step, salt++);
      must(lab.snapshot("/m/s", "/m/s2", true));
      received(to, decoded(encodeStream(must(send(lab.fs, lab.id("/m/s1"), "s1")))));
      expect(treeOf(to.host.task, "/m/s1")).toEqual(treeOf(lab.host.task, "/m/s1"));
      received(to, decoded(encodeStream(must(send(lab.fs, lab.id("/m/s2"), "s2", lab.id("/m/s1"))))));
      expect(treeOf(to.host.task, "/m/s2")).toEqual(treeOf(lab.host.task, "/m/s2"));
      to.fs.check();
    }),
    runs(60),
  );
});
