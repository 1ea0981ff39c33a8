/**
 * Random trees, sent by the simulator and received by this machine's `btrfs receive` on a btrfs of its own: the same trees, file by file; and what the kernel sends
 * of them then is what the simulator sends of what it received. COWLAB_KERNEL_RUNS says how many in all kinds of tests; here two times a twentieth.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { type Command, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { change, changeData, neutral, STEP, treeOf } from "../cow/btrfs-changes.ts";
import { BtrfsLab, must } from "../cow/btrfs-lab.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 20);

/** Lists a tree as treeOf does. */
const WALK = `
import hashlib, os, stat, sys
def walk(top, folder):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        of = os.lstat(path)
        isdir = stat.S_ISDIR(of.st_mode)
        content = os.readlink(path) if stat.S_ISLNK(of.st_mode) else ""
        if stat.S_ISREG(of.st_mode): content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        xattrs = ",".join(sorted(os.listxattr(path, follow_symlinks=False)))
        size = "" if isdir else of.st_size
        print(f"{path[len(top):]} {of.st_mode:o} {of.st_uid} {of.st_nlink} {size} {content} {xattrs}")
        if isdir: walk(top, path)
walk(sys.argv[1], sys.argv[1])
`;

/** In a mount namespace of its own: receives both streams in $1, lists both trees, sends both again. */
const SCRIPT = `set -e
cd "$1"; truncate -s 600M image; mkfs.btrfs -q image >/dev/null; mkdir m; mount -o loop image m
for n in 1 2; do btrfs receive -q -f "stream$n" m; python3 walk.py "m/s$n" > "tree$n"; done
btrfs send -q -f sent1 m/s1; btrfs send -q -p m/s1 -f sent2 m/s2
umount m`;

function decoded(raw: Uint8Array): Command[] {
  const commands = decodeStream(raw);
  if (commands instanceof StreamProblem) throw new Error(commands.message);
  return commands;
}

interface Received {
  readonly trees: readonly string[][];
  readonly sent: readonly Command[][];
}

/** What this machine makes of two streams. */
function askKernel(streams: readonly Uint8Array[]): Received {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-receive-"));
  for (const [index, stream] of streams.entries()) writeFileSync(join(folder, `stream${index + 1}`), stream);
  writeFileSync(join(folder, "walk.py"), WALK);
  const { status, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", SCRIPT, "sh", folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${folder}: ${stderr}`);
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));
  const lines = (name: string): string[] => {
    const text = new TextDecoder().decode(read(name)).slice(0, -1);
    return text === "" ? [] : text.split("\n");
  };
  const answer = { trees: [lines("tree1"), lines("tree2")], sent: [decoded(read("sent1")), decoded(read("sent2"))] };
  rmSync(folder, { recursive: true });
  return answer;
}

/** Commands without what differs by when they were received: times that nobody has set. */
const plain = (commands: readonly Command[]): string[] =>
  neutral(dumpStream(commands)).map((line) => line.replace(/ [am]time=\S+/g, ""));

const why = kernelObstacle() ?? (canMake("btrfs") ? undefined : "no btrfs can be made");
if (why !== undefined) process.stderr.write(`test/kernel, btrfs receive, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test.each([
    ["names and files", change],
    ["shared data", changeData],
  ])(
    "%s that are sent here are received there as the same tree, and names are sent from there as they are sent from here",
    (_what, make) => {
      fc.assert(
        fc.property(fc.array(STEP, { maxLength: 30 }), fc.array(STEP, { maxLength: 30 }), (before, after) => {
          const lab = new BtrfsLab({ size: MIB(600) });
          must(lab.subvolume("/m/s"));
          let salt = 1;
          for (const step of before) make(lab, step, salt++);
          must(lab.snapshot("/m/s", "/m/s1", true));
          for (const step of after) make(lab, step, salt++);
          must(lab.snapshot("/m/s", "/m/s2", true));
          const streams = [must(send(lab.fs, lab.id("/m/s1"), "s1")), must(send(lab.fs, lab.id("/m/s2"), "s2", lab.id("/m/s1")))];
          const theirs = askKernel(streams.map((commands) => encodeStream(commands)));
          for (const [index, tree] of theirs.trees.entries()) expect(tree).toEqual(treeOf(lab.host.task, `/m/s${index + 1}`));
          // Where shared data is cut into extents there hangs on when it was written back.
          if (make === changeData) return;
          const to = new BtrfsLab({ size: MIB(600) });
          for (const commands of streams) {
            const failed = receive({ task: to.host.task, folder: "/m", top: "/m" }, commands);
            if (failed !== undefined) throw new Error(isErrno(failed) ? failed.code : failed.errno.code);
          }
          const ours = [must(send(to.fs, to.id("/m/s1"), "s1")), must(send(to.fs, to.id("/m/s2"), "s2", to.id("/m/s1")))];
          for (const [index, commands] of ours.entries()) expect(plain(commands)).toEqual(plain(theirs.sent[index] ?? []));
        }),
        { numRuns: RUNS, endOnFailure: true },
      );
    },
  );
});
