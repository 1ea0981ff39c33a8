/** vitest's mocks of node:fs, as docs/fs.md has them. */
import fs from "node:fs";
import { expect, test, vi } from "vitest";
import type { OverlayControls } from "../../src/entry/fs.ts";
import { load, save } from "./mocked-program.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const { fromJson } = await import("../../src/fs/lower.ts");
  const { overlayFs } = await import("../../src/fs/overlay-fs.ts");
  const made = overlayFs({ lower: [fromJson({ "/etc/app.json": '{"n":1}' })] });
  // Within cowlab itself its streams would be its own: a package's imports are not mocked.
  return { ...made, ReadStream: real.ReadStream, WriteStream: real.WriteStream, default: made };
});
vi.mock("node:fs/promises", async () => {
  const { promises } = await import("node:fs");
  return { ...promises, default: promises };
});

test("a program that imports node:fs gets a container's files by vitest's mock", async () => {
  expect(load()).toEqual({ n: 1 });
  await save({ n: 2 });
  expect(load()).toEqual({ n: 2 });
  const { diff } = fs as unknown as OverlayControls;
  expect(diff()).toEqual([
    { op: "C", path: "/etc" },
    { op: "C", path: "/etc/app.json" },
  ]);
});
