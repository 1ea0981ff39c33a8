/**
 * The trees of btrfs as Linux 6.18 left them on a device of 4 GiB (`btrfs inspect-internal dump-tree` of btrfs-progs 6.2; test/data/btrfs/trees.ndjson): every item's key
 * and bytes, the references that extents have with them, and every node's level and count. Where a recording would be long it has the items' hash.
 *
 * Not compared: where nodes lie, so of the extent tree and the free space tree what tells of data alone; of references the parents' places and their order, which is that
 * of a hash, so that the extent tree's items stand in alphabetical order; the tree of uuids, which are random; of the tree of roots the folder with the default subvolume's
 * name and the transactions in snapshots' keys; how far a quota rescan has come, which is longer from 6.7 on; leaves from which many items have gone one by one.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import {
  EXTENT_DATA_REF,
  EXTENT_ITEM,
  EXTENT_TREE,
  FREE_SPACE_TREE,
  METADATA_ITEM,
  QGROUP_STATUS,
  SHARED_BLOCK_REF,
  SHARED_DATA_REF,
  TREE_BLOCK_REF,
} from "../../sim/cow/btrfs/layout.ts";
import type { Extent, Reference } from "../../sim/cow/extent.ts";
import type { Key } from "../../sim/cow/key.ts";
import type { Tree } from "../../sim/cow/tree.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";
import { perform } from "./btrfs-script.ts";

interface RecordedTree {
  readonly tree: number;
  /** Level and count of each node, parents first. */
  readonly nodes?: readonly (readonly [number, number])[];
  /** Key, bytes, and of data the references that are kept with it, as JSON in alphabetical order. */
  readonly items?: readonly (readonly unknown[])[];
  /** Of the same, written as JSON. */
  readonly hash?: string;
}

interface RecordedStep {
  readonly op: string;
  /** Absent: everything was written behind the step. */
  readonly sync?: false;
}

type Line = RecordedTree | RecordedStep | { readonly script: string };

/** What was recorded, by the script's name. */
const SCRIPTS = new Map<string, (RecordedTree | RecordedStep)[]>();
for (const text of readFileSync(new URL("../data/btrfs/trees.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")) {
  const line: Line = JSON.parse(text);
  if ("script" in line) SCRIPTS.set(line.script, []);
  else [...SCRIPTS.values()].at(-1)?.push(line);
}

function referenceText({ parent, tree, object, offset, count }: Reference): string {
  return JSON.stringify(parent > 0 ? ["shared data", 0, count] : ["extent data", tree, object, offset, count]);
}

const ABOUT_NODES: readonly number[] = [METADATA_ITEM, TREE_BLOCK_REF, SHARED_BLOCK_REF];

/** Whether an item is compared. */
function isCompared(lab: BtrfsLab, tree: Tree, { object, kind }: Key): boolean {
  if (kind === QGROUP_STATUS) return false;
  if (tree.id === EXTENT_TREE) return !ABOUT_NODES.includes(kind);
  if (tree.id !== FREE_SPACE_TREE) return true;
  return lab.fs.state.space.groups.some(({ type, start, end }) => type === "data" && object >= start && object < end);
}

function itemsOf(lab: BtrfsLab, tree: Tree): unknown[] {
  const out: unknown[] = [];
  const end = { object: Number.POSITIVE_INFINITY, kind: 0, offset: 0 };
  tree.visit({ object: 0, kind: 0, offset: 0 }, end, (key, value, size) => {
    const { object, kind, offset } = key;
    const references: string[] = [];
    if (tree.id === EXTENT_TREE && kind === EXTENT_ITEM)
      for (let at = (value as Extent).inline; at !== undefined; at = at.next) references.push(referenceText(at.reference));
    const isApart = tree.id === EXTENT_TREE && (kind === EXTENT_DATA_REF || kind === SHARED_DATA_REF);
    if (isApart) references.push(referenceText(value as Reference));
    if (isCompared(lab, tree, key)) out.push([object, kind, isApart ? 0 : offset, size, ...references.sort()]);
    return false;
  });
  const text = (item: unknown): string => JSON.stringify(item);
  return tree.id === EXTENT_TREE ? out.sort((one, other) => (text(one) < text(other) ? -1 : 1)) : out;
}

function nodesOf(tree: Tree): unknown[] {
  const out: unknown[] = [];
  tree.visitNodes(({ level, count }) => out.push([level, count]));
  return out;
}

function makeStep(lab: BtrfsLab, { op, sync }: RecordedStep): void {
  if (op === "sync") {
    lab.settle();
    return;
  }
  expect(isErrno(perform(lab, op)), op).toBe(false);
  if (op.startsWith("btrfs")) lab.settle();
  else if (sync !== false) must(lab.fs.sync());
}

test.each([...SCRIPTS])("the trees are those of the kernel, item by item and node by node: %s", (_, lines) => {
  const lab = new BtrfsLab({ size: GIB(4) });
  for (const [index, line] of lines.entries()) {
    if ("op" in line) {
      makeStep(lab, line);
      continue;
    }
    const tree = lab.fs.state.tree(line.tree);
    const items = itemsOf(lab, tree);
    const where = `line ${index}, tree ${line.tree}`;
    if (line.items !== undefined) expect(items, where).toEqual(line.items);
    else expect(Content.text(JSON.stringify(items)).sha256().slice(0, 16), where).toBe(line.hash);
    if (line.nodes !== undefined) expect(nodesOf(tree), where).toEqual(line.nodes);
  }
  lab.fs.check();
});
