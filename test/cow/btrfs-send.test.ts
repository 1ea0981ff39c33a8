/** Send streams: bytes and texts as Linux 6.18 and btrfs-progs 6.2 make them, and what a receiver makes of ours. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, EPERM, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { type Command, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";
import { change, changeData, neutral, STEP, treeOf } from "./btrfs-changes.ts";
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

test("of many files in leaves that both snapshots have only the changed one is sent", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  must(lab.subvolume("/m/s"));
  for (let n = 0; n < 200; n++) must(lab.write(`/m/s/f${n}`, Content.pattern(n, 1500)));
  must(lab.snapshot("/m/s", "/m/s1", true));
  must(lab.write("/m/s/f77", "changed"));
  must(lab.snapshot("/m/s", "/m/s2", true));
  const told = neutral(dumpStream(must(send(lab.fs, lab.id("/m/s2"), "s2", lab.id("/m/s1")))));
  expect(told.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
    "snapshot ./s2",
    "write ./s2/f77",
    "utimes ./s2/f77",
  ]);
});

test("an extent with more than 1024 references is sent as data, since nobody looks for it (SEND_MAX_EXTENT_REFS)", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  const { task } = lab.host;
  must(lab.subvolume("/m/s"));
  must(lab.write("/m/s/f", Content.pattern(1, 8192)));
  must(lab.write("/m/s/g", ""));
  const [from, to] = ["/m/s/f", "/m/s/g"].map((path) => must(task.files.file(must(task.open(path, O_RDWR)))).handle);
  if (from === undefined || to === undefined) throw new Error("both are open");
  const kinds = (name: string): readonly string[] => {
    must(lab.snapshot("/m/s", `/m/${name}`, true));
    const commands = must(send(lab.fs, lab.id(`/m/${name}`), name));
    return [...new Set(commands.filter(({ attributes }) => attributes.path === "g").map((one) => one.name))];
  };
  for (let n = 0; n < 511; n++) must(lab.fs.clone(from, 0, to, n * 8192, 8192));
  expect(kinds("few")).toContain("clone");
  for (let n = 511; n < 1100; n++) must(lab.fs.clone(from, 0, to, n * 8192, 8192));
  expect(kinds("many")).not.toContain("clone");
});

test("who has received snapshots sends them on under the first sender's names", () => {
  const [first, second] = [new BtrfsLab({ size: MIB(600) }), new BtrfsLab({ size: MIB(600) })];
  const { task } = first.host;
  must(first.subvolume("/m/s"));
  must(first.write("/m/s/f", Content.pattern(1, 65_536)));
  must(first.snapshot("/m/s", "/m/s1", true));
  const [from, to] = [must(task.open("/m/s/f", O_RDONLY)), must(task.open("/m/s/g", O_RDWR | O_CREAT, 0o644))];
  must(task.clone(from, to));
  must(first.snapshot("/m/s", "/m/s2", true));
  const sentBy = (lab: BtrfsLab, name: string, parent?: string): Command[] =>
    must(send(lab.fs, lab.id(`/m/${name}`), name, parent === undefined ? undefined : lab.id(`/m/${parent}`)));
  received(second, sentBy(first, "s1"));
  received(second, sentBy(first, "s2", "s1"));
  const uuids = (commands: readonly Command[]): unknown =>
    commands.map(({ attributes }) => [attributes.uuid, attributes.clone_uuid]);
  const again = sentBy(second, "s2", "s1");
  expect(again.filter(({ name }) => name === "clone").length).toBe(1);
  expect(uuids(again)).toEqual(uuids(sentBy(first, "s2", "s1")));
});

test("a subvolume that is not there, or its parent, is EINVAL", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  must(lab.subvolume("/m/s"));
  must(lab.snapshot("/m/s", "/m/s1", true));
  expect([send(lab.fs, 999, "x"), send(lab.fs, lab.id("/m/s1"), "s1", 999)]).toEqual([EINVAL, EINVAL]);
});

test("a subvolume that may be written is not sent", () => {
  const lab = new BtrfsLab({ size: MIB(600) });
  must(lab.subvolume("/m/w"));
  expect(send(lab.fs, lab.id("/m/w"), "w")).toBe(EPERM);
});

test.each([
  ["names and files", change],
  ["shared data", changeData],
])("whatever changes between two snapshots of %s, a receiver ends with the same trees", (_what, make) => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 30 }), fc.array(STEP, { maxLength: 30 }), (before, after) => {
      const lab = new BtrfsLab({ size: MIB(600) });
      const to = new BtrfsLab({ size: MIB(600) });
      must(lab.subvolume("/m/s"));
      let salt = 1;
      for (const step of before) make(lab, step, salt++);
      must(lab.snapshot("/m/s", "/m/s1", true));
      for (const step of after) make(lab, step, salt++);
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

test("a dump writes paths as btrfs-progs does: what a terminal would obey is escaped, and bytes beyond ASCII", () => {
  const path = "a b\\\u001b\t\n\u0001é";
  const told = "./a\\ b\\\\\\e\\t\\n\\001\\303\\251";
  expect(dumpStream([{ name: "mkfile", attributes: { path } }])).toEqual([`mkfile          ${told}`]);
  expect(dumpStream([{ name: "rename", attributes: { path: "o", path_to: path } }])).toEqual([
    `rename          ${"./o".padEnd(31)} dest=${told}`,
  ]);
});
