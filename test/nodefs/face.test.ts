/**
 * The same calls on node:fs over a temporary folder of this machine and on cowlab/fs over ext4: same results, same errors to the letter.
 */
import * as realFs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getSystemErrorMap } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Errno } from "../../sim/core/errno.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { libuvCode, libuvText } from "../../src/fs/errors.ts";
import { type NodeFs, nodeFs } from "../../src/fs/face.ts";
import { dockerHost, labOn, must } from "../drivers/docker-host.ts";
import { runs } from "../runs.ts";
import { answer, type FsCall, rightCall, type Side, shown, wrongCall } from "./calls.ts";

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const groups = process.getgroups?.() ?? [];

/** The face over a process with this one's ids. */
function asMyself(task: Task): NodeFs {
  task.chmod("/", 0o777);
  const mine = task.withCredentials(credentialsOf(uid, gid, groups));
  mine.umask = process.umask();
  return nodeFs(mine);
}

function onExt4(): NodeFs {
  const task = dockerHost("ext4").task.chroot("/var/lib/docker");
  if (task instanceof Errno) throw new Error(task.text);
  return asMyself(task);
}

function inContainer(): NodeFs {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  must(lab.addContainer("c", "base"));
  return asMyself(must(lab.task("c")));
}

interface Both {
  readonly real: Side;
  readonly sim: Side;
}

function sides(simulated: NodeFs): Both {
  const folder = realFs.mkdtempSync(join(tmpdir(), "cowlab-face-"));
  simulated.mkdirSync(folder, { recursive: true });
  const sideOf = (fs: unknown): Side => ({ fs: fs as Side["fs"], folder, files: [] });
  return { real: sideOf(realFs), sim: sideOf(simulated) };
}

function end({ real, sim }: Both): void {
  for (const side of [real, sim]) {
    const fs = side.fs as unknown as typeof realFs;
    for (const fd of side.files) {
      try {
        fs.closeSync(fd);
      } catch {
        // It was closed by one of the calls.
      }
    }
    fs.rmSync(side.folder, { recursive: true, force: true });
  }
}

/** Everything in a folder: names, attributes, contents. */
function tree(fs: typeof realFs, folder: string): unknown[] {
  return fs.readdirSync(folder).flatMap((name) => {
    const at = join(folder, name);
    const of = fs.lstatSync(at);
    const content = of.isFile() ? fs.readFileSync(at, "latin1") : of.isSymbolicLink() ? fs.readlinkSync(at) : null;
    return [[at, shown(of), content], ...(of.isDirectory() ? tree(fs, at) : [])];
  });
}

/**
 * readFile with a callback, of a descriptor: Node 20 loses the error of such a read, and then says that the file was empty, or trips over its
 * own list of buffers.
 */
function losesErrors({ form, name, args }: FsCall): boolean {
  return form === "callback" && name === "readFile" && typeof args[0] === "object" && args[0] !== null && "file" in args[0];
}

async function compare(simulated: NodeFs, calls: readonly FsCall[]): Promise<void> {
  const both = sides(simulated);
  try {
    for (const call of calls) {
      const real = await answer(both.real, call);
      const sim = await answer(both.sim, call);
      if (losesErrors(call)) continue;
      expect({ call, answer: sim }).toEqual({ call, answer: real });
    }
    expect(tree(both.sim.fs as unknown as typeof realFs, both.sim.folder)).toEqual(tree(realFs, both.real.folder));
  } finally {
    end(both);
  }
}

describe.each([
  ["ext4", onExt4],
  ["a container of overlay2 over ext4", inContainer],
])("cowlab/fs on %s, beside node:fs", (_, make) => {
  const simulated = make();

  test("random calls in all three forms have the same results, errors and effects", async () => {
    const calls = fc.array(rightCall, { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(calls, (all) => compare(simulated, all)),
      runs(150),
    );
  });

  test("wrong arguments give the same errors", async () => {
    const right = fc.array(rightCall, { maxLength: 6 });
    const wrong = fc.array(wrongCall, { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(right, wrong, (first, then) => compare(simulated, [...first, ...then])),
      runs(150),
    );
  });
});

describe("errors", () => {
  test("every error of the kernel has libuv's code and text", () => {
    const known = getSystemErrorMap();
    for (const errno of Errno.all()) {
      const row = known.get(-errno.number);
      // Newer versions know more; the text here is that of Node 20's.
      if (errno.code === "ENOEXEC") continue;
      const unknown = `Unknown system error ${-errno.number}`;
      expect([libuvCode(errno), libuvText(errno)]).toEqual(row ?? [unknown, unknown]);
    }
  });
});
