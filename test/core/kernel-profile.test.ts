import { describe, expect, test } from "vitest";
import { k6_18, kernelProfile } from "../../sim/core/kernel-profile.ts";

const overlay = (version: string): Readonly<Record<string, unknown>> | undefined => kernelProfile(version)?.overlay as never;

describe("the kernel of a release", () => {
  test.each([
    ["4.9", "4.10", "redirects"],
    ["4.18", "4.19", "readOnlyFollowsCopyUp"],
    ["5.5", "5.6", "sparseCopyUp"],
    ["5.7", "5.8", "sharedWhiteoutInode"],
    ["5.19", "6.7", "xattrEscape"],
    ["4.8", "4.9", "ownXattrsRefused"],
  ])("%s does not have yet what came with %s: %s", (before, since, flag) => {
    expect([overlay(before)?.[flag], overlay(since)?.[flag]]).toEqual([false, true]);
  });

  test("does no longer what went with it", () => {
    expect([overlay("5.14")?.["opaqueOnMkdir"], overlay("5.15")?.["opaqueOnMkdir"]]).toEqual([true, false]);
    expect([kernelProfile("6.4"), kernelProfile("6.5")].map((kernel) => kernel?.btrfs.commitsSubvolumes)).toEqual([true, false]);
  });

  test("orders releases by number, not by letters", () => {
    expect([overlay("4.2")?.["fsyncCopyUp"], overlay("4.20")?.["fsyncCopyUp"]]).toEqual([false, true]);
  });

  test("knows the options that had come by then", () => {
    expect([...(kernelProfile("4.14")?.overlay.options ?? [])]).toEqual(["redirect_dir", "index"]);
    expect([...k6_18.overlay.options]).toContain("fsync");
  });

  test.each(["3.18", "4.21", "5.20", "6.19", "7.0", "6", "6.05", "6.18.44", ""])("is not made for %j", (version) => {
    expect(kernelProfile(version)).toBeUndefined();
  });
});
