/** What docker build of 20.10.24 sends of a folder with such a .dockerignore. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readContext } from "../../src/node/archive.ts";

const PATTERNS =
  "# comment\ndir\n!dir/keep\n!dir/sub/keep\n**/*.tmp\n*.md\n!new.md\nfoo/*\n[ab].txt\n/abs\na?\na/**/only\n**/.hidden\n sp ace \nx/dir/\n";
const FILES = [
  ".hidden",
  "Dockerfile",
  "README.md",
  "a.txt",
  "a/b/c/t.tmp",
  "a/b/only",
  "a/t.tmp",
  "aa",
  "ab",
  "abs",
  "b.txt",
  "c.txt",
  "dir/f",
  "dir/keep",
  "dir/sub/keep",
  "foo/1",
  "foo/bar/2",
  "new.md",
  "sp ace",
  "x/.hidden",
  "x/README.md",
  "x/abs",
  "x/dir/f",
];
const SENT = [
  "Dockerfile",
  "a",
  "a/b",
  "a/b/c",
  "c.txt",
  "dir",
  "dir/keep",
  "dir/sub",
  "dir/sub/keep",
  "foo",
  "new.md",
  "x",
  "x/README.md",
  "x/abs",
];

test("a .dockerignore leaves out what Docker leaves out", () => {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-context-test-"));
  for (const file of FILES) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  writeFileSync(join(folder, ".dockerignore"), PATTERNS);
  const sent = readContext(folder).entries.map(({ path }) => path.slice(1));
  rmSync(folder, { recursive: true });
  expect(sent.filter((path) => path !== "" && path !== ".dockerignore").sort()).toEqual(SENT);
});
