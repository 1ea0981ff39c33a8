/** That check() finds what does not add up in a union, each thing broken by hand. */
import { beforeEach, describe, expect, test } from "vitest";
import { EIO, isErrno } from "../../sim/core/errno.ts";
import type { Name } from "../../sim/core/names.ts";
import type { Aufs } from "../../sim/union/aufs/state.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_OPAQUE, NO_UPPER, type Node, ROOT_NODE } from "../../sim/union/nodes.ts";
import type { Overlay } from "../../sim/union/overlayfs/state.ts";
import { type FileSystem, fileHandle, type Inode, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, must, put } from "./aufs-lab.ts";

let lab: AufsLab;
let task: Task;
let name: (text: string) => Name;

beforeEach(() => {
  lab = new AufsLab();
  lab.branch("low", { f: "f", g: "g", whited: "", "d/": "", "d/in": "", "e/": "" });
  name = (text) => lab.host.names.intern(text);
});

/** Meets what is there, and what is not. */
function meet(): void {
  for (const path of ["/f", "/g", "/own", "/d", "/d/in", "/e"]) must(task.lstat(path));
  for (const path of ["/none", "/whited"]) expect(isErrno(task.lstat(path))).toBe(true);
}

const UP_ROOT = "/b/up";

describe("an overlay", () => {
  let overlay: Overlay;
  let check: () => void;

  beforeEach(() => {
    lab.branch("up", { own: "own" });
    must(lab.task.mkdir("/b/work", 0o755));
    must(lab.task.mkdir("/m", 0o755));
    const options = "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low";
    expect(lab.host.mount({ type: "overlay", source: "none", target: "/m", options })).toBeUndefined();
    task = must(lab.task.chroot("/m"));
    must(task.unlink("/whited"));
    meet();
    const fs = task.root.mount.fs as FileSystem & { overlay: Overlay };
    overlay = fs.overlay;
    check = () => fs.check();
    check();
  });

  const at = (text: string): Node => overlay.nodes.dentries.lookup(ROOT_NODE, name(text));
  const CASES: Readonly<Record<string, readonly [() => void, string | RegExp]>> = {
    "an upper layer that cannot be read": [
      () => Object.assign(overlay.rules, { probe: () => EIO }),
      /^\/ \w+: the upper layer fails$/,
    ],
    "a file that was put on the upper layer": [
      () => put(lab.task, `${UP_ROOT}/none`, ""),
      /^\/ none: an upper entry \d+ is not seen$/,
    ],
    "a file that was put over a lower one": [() => put(lab.task, `${UP_ROOT}/f`, ""), /^\/ f: an upper entry \d+ is not seen$/],
    "another file in the place of one": [
      () => {
        put(lab.task, "/b/other", "");
        must(lab.task.rename("/b/other", `${UP_ROOT}/own`));
      },
      /^\/ own: the upper layer has \d+, the node \d+$/,
    ],
    "a whiteout that is gone": [
      () => must(lab.task.unlink(`${UP_ROOT}/whited`)),
      "/ whited: the whiteout is not what the entry says",
    ],
    "a whiteout that was made": [
      () => must(lab.task.mknod(`${UP_ROOT}/none`, 0o020000)),
      "/ none: an upper entry -2 is not seen",
    ],
    "a file that was put on the lower layer": [
      () => put(lab.task, "/b/low/none", ""),
      "/ none: a negative entry hides what lies below, or the reverse",
    ],
    "an entry of what is not there": [
      () => overlay.nodes.enter(ROOT_NODE, name("none"), at("f")),
      "/ none: a negative entry hides what lies below, or the reverse",
    ],
    "an entry in the place of another": [
      () => overlay.nodes.dentries.put(ROOT_NODE, name("g"), at("f")),
      "/f: 1 entries are counted, 2 found",
    ],
    "a node without a layer": [() => overlay.nodes.setLower(at("f"), 0), "/f: the node is on no layer"],
    "a node of another kind": [() => overlay.nodes.setType(at("f"), S_IFIFO), "/f: the node's type is not its inode's"],
    "a node below another": [
      () => overlay.nodes.setLower(at("f"), overlay.nodes.lowerOf(at("g"))),
      "/f: the node shows another inode than the view below",
    ],
    "a file that is called a directory": [
      () => overlay.nodes.set(at("f"), IS_DIRECTORY),
      "/f: the node's kind is not its inode's",
    ],
    "a directory with two names": [
      () => {
        overlay.nodes.forget(ROOT_NODE, name("e"));
        overlay.nodes.enter(ROOT_NODE, name("e"), at("d"));
      },
      "/e: a directory with 2 names",
    ],
    "a hold on what is not there": [() => overlay.nodes.set(at("f"), HOLDS_UPPER), "/f: holds an upper inode that it has not"],
  };
  test.each(Object.keys(CASES))("%s is found", (name) => {
    const [breakIt, message] = CASES[name] as (typeof CASES)[string];
    breakIt();
    expect(check).toThrow(message);
  });
});

describe("aufs", () => {
  let aufs: Aufs;
  let check: () => void;

  beforeEach(() => {
    must(lab.task.mkdir("/b/low/low", 0o755));
    lab.branch("mid", { "d/": "", m: "" });
    const up = lab.branch("up", { own: "own", "opaque/": "", "opaque/.wh..wh..opq": "" });
    const mounted = lab.enter(`br:${up}=rw:/b/mid=rw:/b/low=ro+wh`);
    ({ task } = mounted);
    must(task.unlink("/whited"));
    meet();
    for (const path of ["/m", "/opaque", "/low"]) must(task.lstat(path));
    ({ aufs } = mounted.fs);
    check = () => mounted.fs.check();
    check();
  });

  const at = (text: string): Node => aufs.nodes.dentries.lookup(ROOT_NODE, name(text));
  const CASES: Readonly<Record<string, readonly [() => void, string | RegExp]>> = {
    "a branch that cannot be read": [() => Object.assign(aufs.rules, { find: () => EIO }), /^\/ \w+: a branch fails$/],
    "a whiteout that is gone": [
      () => must(lab.task.unlink(`${UP_ROOT}/.wh.whited`)),
      "/ whited: the whiteout is not what the entry says",
    ],
    "a whiteout that was made": [
      () => put(lab.task, `${UP_ROOT}/.wh.none`, ""),
      "/ none: the whiteout is not what the entry says",
    ],
    "a file that was put on a branch": [
      () => put(lab.task, `${UP_ROOT}/none`, ""),
      "/ none: the entry is not what the branches have",
    ],
    "a file that is gone": [() => must(lab.task.unlink(`${UP_ROOT}/own`)), "/ own: the entry is not what the branches have"],
    "a file that was put above a lower one": [() => put(lab.task, `${UP_ROOT}/f`, ""), "/ f: the branch is 0, not 2"],
    "a file that was put above one of another branch": [() => put(lab.task, `${UP_ROOT}/m`, ""), "/ m: the branch is 0, not 1"],
    "another file in the place of one": [
      () => {
        put(lab.task, "/b/other", "");
        must(lab.task.rename("/b/other", `${UP_ROOT}/own`));
      },
      /^\/ own: the branch has \d+, the node \d+$/,
    ],
    "an entry in the place of another": [
      () => aufs.nodes.dentries.put(ROOT_NODE, name("g"), at("f")),
      "/f: 1 entries are counted, 2 found",
    ],
    "a node without a branch": [() => aufs.nodes.setLower(at("f"), 0), "/f: the node is on no branch"],
    "a file that is called a directory": [() => aufs.nodes.set(at("f"), IS_DIRECTORY), "/f: the node's kind is not its inode's"],
    "a directory with two names": [
      () => {
        aufs.nodes.forget(ROOT_NODE, name("e"));
        aufs.nodes.enter(ROOT_NODE, name("e"), at("low"));
      },
      "/e: a directory with 2 names",
    ],
    "a hold on what is not there": [() => aufs.nodes.set(at("f"), HOLDS_UPPER), "/f: holds an upper inode that it has not"],
    "links counted of a lower file": [() => aufs.linkCounts.set(at("f"), 1), /^node \d+ counts links without an upper inode$/],
    "an opaque mark that is gone": [
      () => must(lab.task.unlink(`${UP_ROOT}/opaque/.wh..wh..opq`)),
      "/opaque: the mark of an opaque directory is not what the node says",
    ],
    "an opaque mark that was made": [() => aufs.nodes.set(at("e"), IS_OPAQUE), "/e: an opaque directory shows what lies below"],
    "a directory that is on another branch too": [
      () => aufs.instances.set(at("d"), [at("d") as Inode]),
      /^\/d: shown by branch 1, not by 0$/,
    ],
  };
  test.each(Object.keys(CASES))("%s is found", (name) => {
    const [breakIt, message] = CASES[name] as (typeof CASES)[string];
    breakIt();
    expect(check).toThrow(message);
  });
});

describe("what nodes and open files refuse", () => {
  test.each<readonly [string, (overlay: Overlay) => void, string | RegExp]>([
    ["a node with a name is freed", ({ nodes }) => nodes.free(ROOT_NODE), "node 1 is in use"],
    [
      "a node that is held is freed",
      (overlay) => {
        const node = overlay.addNode(NO_UPPER, overlay.nodes.lowerOf(ROOT_NODE), IS_DIRECTORY);
        overlay.nodes.hold(node);
        overlay.nodes.free(node);
      },
      /^node \d+ is in use$/,
    ],
    ["the only layer of a node is forgotten", ({ nodes }) => nodes.forgetLower(ROOT_NODE), "node 1 would be on no layer"],
    ["a directory goes with an entry", ({ nodes }) => nodes.forgetEntries(ROOT_NODE), "directory 1 goes with an entry"],
    [
      "an entry is moved that is not there",
      ({ nodes }) => nodes.moveEntry(ROOT_NODE, name("none"), ROOT_NODE, name("x")),
      "directory 1 has no entry to move",
    ],
    ["a file is asked for that is not open", ({ files }) => files.at(fileHandle(7)), "file 7 is not open"],
    [
      "a file is closed twice",
      ({ files }) => {
        const file = files.add({ node: ROOT_NODE, real: -1, flags: 0, fs: lab.task.root.mount.fs, isUpper: false });
        files.remove(file);
        files.at(file);
      },
      /^file \d+ is not open$/,
    ],
  ])("%s", (_, breakIt, message) => {
    must(lab.task.mkdir("/m", 0o755));
    must(lab.task.mkdir("/b/low2", 0o755));
    const options = "lowerdir=/b/low:/b/low2";
    expect(lab.host.mount({ type: "overlay", source: "none", target: "/m", options })).toBeUndefined();
    task = must(lab.task.chroot("/m"));
    must(task.stat("/f"));
    const { overlay } = task.root.mount.fs as FileSystem & { overlay: Overlay };
    expect(() => breakIt(overlay)).toThrow(message);
  });
});
