/** What the kernel's ext4 and xfs took for calls on a few files (test/data/file-space.json, recorded by test/kernel/file-space.py on Linux 6.18). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { difference, type History, ourHistory, type SpaceScript } from "./file-space.ts";

interface Recorded extends SpaceScript {
  readonly name: string;
  readonly kernel: History;
}

const RECORDED = JSON.parse(readFileSync(new URL("../data/file-space.json", import.meta.url), "utf8")) as Recorded[];

test.each(RECORDED)("$filesystem: $name", (recorded) => {
  expect(difference(recorded, recorded.kernel, ourHistory(recorded))).toBeUndefined();
});
