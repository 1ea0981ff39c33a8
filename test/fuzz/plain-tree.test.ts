/**
 * The plain tree, where it shares memory with another, and rules that campaigns rarely meet.
 */
import { describe, expect, test } from "vitest";
import { EACCES, ENXIO } from "../../sim/core/errno.ts";
import type { Step } from "../../src/calls/step.ts";
import { rulesOf } from "../../src/fuzz/differences.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import * as attributes from "../../src/fuzz/model/attributes.ts";
import * as files from "../../src/fuzz/model/files.ts";
import * as names from "../../src/fuzz/model/names.ts";
import { ModelTree } from "../../src/fuzz/model/tree.ts";
import { shownBytes } from "../../src/fuzz/shown-bytes.ts";

const GROUND = groundOf("vfs");

/** A tree with the file /a, open as f, that holds 8,192 bytes. */
function treeWithFile(): ModelTree {
  const tree = new ModelTree(rulesOf(GROUND, false), rulesOf(GROUND, true));
  openFile(tree, ["O_RDWR", "O_CREAT"]);
  files.write(tree, { call: "write", fd: "f", data: { fill: "ab", len: 8192 } });
  return tree;
}

function openFile(tree: ModelTree, flags: readonly string[]): void {
  expect(files.open(tree, { call: "open", path: "/a", flags, mode: "0644", fd: "f" })).toBe(undefined);
}

/** What /a holds, in the form of the traces. */
function shown(tree: ModelTree): unknown {
  const node = tree.root.entries?.get("a");
  return node === undefined ? undefined : shownBytes(node.data.subarray(0, node.size));
}

describe("a forked plain tree", () => {
  const changes: readonly (readonly [string, (tree: ModelTree) => unknown])[] = [
    ["a write within", (tree) => files.pwrite(tree, { call: "pwrite", fd: "f", offset: 1, data: "x" })],
    ["a write behind the end", (tree) => files.pwrite(tree, { call: "pwrite", fd: "f", offset: 20_000, data: "x" })],
    ["a cut", (tree) => files.ftruncate(tree, { call: "ftruncate", fd: "f", len: 5 })],
    ["a hole", (tree) => fallocate(tree, ["PUNCH_HOLE", "KEEP_SIZE"])],
    ["blocks taken out", (tree) => fallocate(tree, ["COLLAPSE_RANGE"])],
    ["blocks put in", (tree) => fallocate(tree, ["INSERT_RANGE"])],
  ];

  function fallocate(tree: ModelTree, flags: readonly string[]): unknown {
    const step: Step = { call: "fallocate", fd: "f", offset: 0, len: 4096, flags };
    return files.fallocate(tree, step);
  }

  test.each(changes)("does not show %s in the tree that it came from, nor that tree one of its own", (_, change) => {
    const [origin, before] = [treeWithFile(), shown(treeWithFile())];
    const fork = origin.fork();
    openFile(fork, ["O_RDWR"]);
    change(fork);
    expect(shown(fork)).not.toEqual(before);
    expect(shown(origin)).toEqual(before);

    const other = origin.fork();
    change(origin);
    expect(shown(other)).toEqual(before);
    expect(shown(origin)).toEqual(shown(fork));
  });
});

test("O_CREAT opens no socket of another user in a sticky directory that all can write to, root's call neither", () => {
  const tree = new ModelTree(rulesOf(GROUND, false), rulesOf(GROUND, true));
  names.mkdir(tree, { call: "mkdir", path: "/e", mode: "1777" });
  names.mknod(tree, { call: "mknod", path: "/e/s", type: "socket", mode: "0666" });
  attributes.lchown(tree, { call: "lchown", path: "/e/s", uid: 1001, gid: 0 });
  const open = (flags: readonly string[]): unknown =>
    files.open(tree, { call: "open", path: "/e/s", flags, mode: "0644", fd: "f" });
  expect([open(["O_RDWR"]), open(["O_RDWR", "O_CREAT"])]).toEqual([ENXIO, EACCES]);
});
