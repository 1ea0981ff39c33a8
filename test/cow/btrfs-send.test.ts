/** Send streams: bytes and texts as Linux 6.18 and btrfs-progs 6.2 make them, and what a receiver makes of ours. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EPERM, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { type Command, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
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
