/** Peers are compared only as far as they do the same thing: each that needs no package of its own goes through one script. */
import { describe, expect, test } from "vitest";
import { GROUPS } from "../../bench/groups.ts";
import { type Series, setCap } from "../../bench/measure.ts";
import type { Peer } from "../../bench/peer.ts";
import { floorFlat, floorTree } from "../../bench/peers/floor.ts";

const PEERS: readonly (readonly [string, () => Peer])[] = [
  ["floor-flat", floorFlat],
  ["floor-tree", floorTree],
];
const text = (letters: string): Uint8Array => new TextEncoder().encode(letters);

describe.each(PEERS)("%s", (_name, load) => {
  test("shows the files of all layers, and a write to a lower file", () => {
    const tree = load().mount(3, (layer, number) => {
      layer.mkdirp("/usr/lib");
      layer.writeFile(`/usr/lib/of-${number}`, text("lower"));
    });
    expect(tree.readdir("/usr/lib")).toBe(3);
    expect(tree.missing("/usr/lib/of-3")).toBe(true);
    const handle = tree.open("/usr/lib/of-0", "append");
    tree.append(handle, text(" upper"));
    tree.close(handle);
    const into = new Uint8Array(32);
    const again = tree.open("/usr/lib/of-0", "read");
    const length = tree.read(again, into, 0);
    tree.close(again);
    expect(new TextDecoder().decode(into.subarray(0, length))).toBe("lower upper");
    expect(tree.stat("/usr/lib/of-0")).toBe(11);
    tree.dispose();
  });

  test("keeps a directory's files when it is renamed", () => {
    const tree = load().mount(1, (layer) => layer.mkdirp("/etc"));
    tree.mkdirp("/home/a/b");
    tree.writeFile("/home/a/b/file", text("x"));
    tree.rename("/home/a", "/home/c");
    expect(tree.missing("/home/a/b/file")).toBe(true);
    expect(tree.stat("/home/c/b/file")).toBe(1);
    tree.unlink("/home/c/b/file");
    expect(tree.readdir("/home/c/b")).toBe(0);
    tree.dispose();
  });

  test("a write does not keep the caller's array", () => {
    const tree = load().mount(1, (layer) => layer.mkdirp("/etc"));
    const mine = text("abc");
    tree.writeFile("/etc/file", mine);
    mine.fill(0);
    const into = new Uint8Array(3);
    tree.read(tree.open("/etc/file", "read"), into, 0);
    expect(new TextDecoder().decode(into)).toBe("abc");
    tree.dispose();
  });
});

test("each group reports at least one workload, all of them under a name that --only knows", () => {
  setCap(1);
  for (const group of GROUPS) {
    // A floor describes no bytes and has no snapshots of trees.
    if (group.name.endsWith("-described") || /^(tree|btrfs|zfs)-/.test(group.name)) continue;
    const reported: Series[] = [];
    const count = (full: number, least = 1): number => Math.min(full, Math.max(least, 2));
    group.run({ peer: floorTree(), rounds: 1, count, report: (series) => reported.push(series) });
    expect(reported.length, group.name).toBeGreaterThan(0);
    for (const { workload } of reported) {
      expect(
        group.workloads.some((beginning) => workload.startsWith(beginning)),
        workload,
      ).toBe(true);
    }
  }
});
