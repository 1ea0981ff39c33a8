/** Programs that import node:fs themselves get another one, each load its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { fromJson, overlayFs, requireWith } from "../../src/entry/fs.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-require-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A package of this machine with some CommonJS files. */
function packageOf(name: string, files: Readonly<Record<string, string>>): void {
  const at = join(folder, "node_modules", name);
  mkdirSync(at, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(at, file), text);
}

packageOf("reader", {
  "index.js": `
    const fs = require("fs");
    let count = 0;
    exports.count = () => ++count;
    exports.read = (path) => fs.readFileSync(path, "utf8");
    exports.late = (path) => require("./late.js")(path);
    exports.promised = (path) => require("node:fs/promises").readFile(path, "utf8");
    exports.joined = require("path").join("a", "b");
    exports.self = require("fs") === require("node:fs");
  `,
  "late.js": `module.exports = (path) => require("node:fs").readFileSync(path, "utf8");`,
});
packageOf("faulty", { "index.js": `throw new Error("cannot be loaded");` });

interface Reader {
  count(): number;
  read(path: string): string;
  late(path: string): string;
  promised(path: string): Promise<string>;
  readonly joined: string;
  readonly self: boolean;
}

const from = join(folder, "main.js");
const readerOver = (text: string): Reader =>
  requireWith(overlayFs({ lower: [fromJson({ "/f": text })] }), from)("reader") as Reader;

test("a program reads the container's files, whenever and by whatever name it requires node:fs", async () => {
  const reader = readerOver("mine");
  expect([reader.read("/f"), reader.late("/f"), await reader.promised("/f")]).toEqual(["mine", "mine", "mine"]);
  expect([reader.joined, reader.self]).toEqual(["a/b", true]);
});

test("two loads have a module each, and files of their own", () => {
  const [one, other] = [readerOver("one"), readerOver("other")];
  expect([one.count(), one.count(), other.count()]).toEqual([1, 2, 1]);
  expect([one.read("/f"), other.read("/f")]).toEqual(["one", "other"]);
});

test("one require gives the same module again", () => {
  const load = requireWith(overlayFs(), from);
  expect(load("reader")).toBe(load("reader"));
});

test("a program that cannot be loaded throws what it threw, each time", () => {
  const load = requireWith(overlayFs(), from);
  for (const _ of [1, 2]) expect(() => load("faulty")).toThrow("cannot be loaded");
  expect(() => load("none")).toThrow("Cannot find module 'none'");
});
