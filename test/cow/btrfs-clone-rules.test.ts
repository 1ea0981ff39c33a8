/** Which ranges of btrfs's files may be shared, and what is refused (generic_remap_checks, btrfs_remap_file_range_prep; Linux 6.18). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, isErrno } from "../../sim/core/errno.ts";
import { KIB } from "../../sim/core/units.ts";
import { clone } from "../../sim/cow/btrfs/clone.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const BLOCK = KIB(4);

/** Files of 10 and 5 blocks, each block of one letter, and 100 bytes; and a clone by block numbers of the files. */
function lab(): {
  of: BtrfsLab;
  share: (from: string, at: number, to: string, offset: number, length: number) => unknown;
  text: (path: string) => string;
} {
  const of = new BtrfsLab();
  const letters = (text: string): Content => Content.concat([...text].map((letter) => Content.text(letter.repeat(BLOCK))));
  must(of.write("/m/a", letters("abcdefghij")));
  must(of.write("/m/b", letters("ABCDE")));
  must(of.write("/m/a", "z".repeat(100), 10 * BLOCK));
  must(of.write("/m/b", "Z".repeat(100), 5 * BLOCK));
  of.settle();
  const inode = (path: string) => of.fs.state.inodes.get(must(of.host.task.resolve(path)).inode);
  const share = (from: string, at: number, to: string, offset: number, length: number): unknown => {
    const [source, target] = [inode(from), inode(to)];
    if (source === undefined || target === undefined) throw new Error("no inode");
    return clone(of.fs.state, { inode: source, offset: at * BLOCK }, { inode: target, offset: offset * BLOCK }, length);
  };
  /** The first letter of each block. */
  const text = (path: string): string => {
    const fd = must(of.host.task.open(path, 0));
    const { size } = must(of.host.task.stat(path));
    const raw = must(of.host.task.pread(fd, size, 0)).toBytes();
    of.host.task.close(fd);
    return Array.from({ length: Math.ceil(size / BLOCK) }, (_, block) => String.fromCharCode(raw[block * BLOCK] || 46)).join("");
  };
  return { of, share, text };
}

describe("a range that is shared", () => {
  test.each<readonly [string, readonly [string, number, string, number, number], string, string]>([
    ["in the middle", ["/m/a", 1, "/m/b", 2, 2 * BLOCK], "abcdefghijz", "ABbcEZ"],
    ["behind the end, with a hole before it", ["/m/a", 0, "/m/b", 8, BLOCK], "abcdefghijz", "ABCDEZ..a"],
    ["up to the source's end", ["/m/a", 9, "/m/b", 9, 0], "abcdefghijz", "ABCDEZ...jz"],
    ["up to the source's end, whose length is told", ["/m/a", 9, "/m/b", 9, BLOCK + 100], "abcdefghijz", "ABCDEZ...jz"],
    ["within one file", ["/m/a", 0, "/m/a", 2, 2 * BLOCK], "ababefghijz", "ABCDEZ"],
    ["within one file, backwards", ["/m/a", 4, "/m/a", 0, 4 * BLOCK], "efghefghijz", "ABCDEZ"],
    ["of no bytes", ["/m/a", 2, "/m/b", 0, 0], "abcdefghijz", "cdefghijz"],
  ])("%s is in both files", (_, [from, at, to, offset, length], a, b) => {
    const { of, share, text } = lab();
    expect(isErrno(share(from, at, to, offset, length))).toBe(false);
    expect([text("/m/a"), text("/m/b")]).toEqual([a, b]);
    of.fs.check();
    must(of.host.unmount("/m"));
    of.mount();
    expect([text("/m/a"), text("/m/b")]).toEqual([a, b]);
  });

  test.each<readonly [string, readonly [string, number, string, number, number]]>([
    ["begins within a block", ["/m/a", 0.5, "/m/b", 0, BLOCK]],
    ["is to begin within a block", ["/m/a", 0, "/m/b", 0.5, BLOCK]],
    ["ends within a block before the source's end", ["/m/a", 0, "/m/b", 0, BLOCK / 2]],
    ["ends within a block in the target's middle", ["/m/a", 10, "/m/b", 0, 100]],
    ["reaches beyond the source's end", ["/m/a", 9, "/m/b", 0, 3 * BLOCK]],
    ["begins behind the source's end", ["/m/a", 12, "/m/b", 0, 0]],
    ["overlaps itself", ["/m/a", 0, "/m/a", 1, 2 * BLOCK]],
    ["overlaps itself, backwards", ["/m/a", 3, "/m/a", 2, 2 * BLOCK]],
    ["is itself", ["/m/a", 3, "/m/a", 3, BLOCK]],
  ])("that %s is refused, and nothing changes", (_, [from, at, to, offset, length]) => {
    const { of, share, text } = lab();
    expect(share(from, at, to, offset, length)).toBe(EINVAL);
    expect([text("/m/a"), text("/m/b")]).toEqual(["abcdefghijz", "ABCDEZ"]);
    of.fs.check();
  });
});
