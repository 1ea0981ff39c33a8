import { beforeEach, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { seconds } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { copyTree } from "../../src/drivers/dir-copy.ts";
import { changesSize, treeChanges } from "../../src/drivers/naive-diff.ts";
import { must } from "./docker-host.ts";

let host: Host;

function put(path: string, text: string): void {
  const fd = must(host.task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644));
  must(host.task.write(fd, Content.text(text)));
  must(host.task.close(fd));
}

/** Copies /old to /new with all times, then lets two seconds pass. */
function copy(): void {
  const how = { task: host.task, engine: "all" as const, counters: { treeCopyFiles: 0, treeCopyBytes: 0 } };
  must(copyTree(host, { source: "/old", target: "/new" }, how));
  host.clock.advance(seconds(2));
}

function diff(): string[] {
  const changes = must(treeChanges(host.task, "/old", "/new"));
  return changes.map(({ kind, path }) => `${kind} ${path}`);
}

beforeEach(() => {
  host = createHost({ seed: 1 });
  must(host.task.mkdir("/old"));
});

describe("the naive differ", () => {
  test("finds nothing between a tree and its copy", () => {
    must(host.task.mkdir("/old/d"));
    put("/old/d/f", "x");
    copy();
    expect(diff()).toEqual([]);
  });

  test("tells additions with all below them, removals by their top alone, and the folder above changed", () => {
    for (const path of ["/old/d", "/old/d/gone", "/old/d/gone/deep", "/old/same"]) must(host.task.mkdir(path));
    copy();
    must(host.task.rmdir("/new/d/gone/deep"));
    must(host.task.rmdir("/new/d/gone"));
    must(host.task.mkdir("/new/d/made"));
    put("/new/d/made/f", "x");
    expect(diff()).toEqual(["C /d", "A /d/made", "A /d/made/f", "D /d/gone"]);
  });

  test("does not see a touched folder, nor xattrs other than security.capability", () => {
    must(host.task.mkdir("/old/d"));
    put("/old/f", "x");
    put("/old/g", "x");
    copy();
    must(host.task.utimens("/new/d", "NOW", "NOW"));
    must(host.task.setxattr("/new/f", "user.k", Uint8Array.of(1)));
    const capability = Uint8Array.of(1, 0, 0, 2, ...new Uint8Array(16));
    must(host.task.setxattr("/new/g", "security.capability", capability));
    expect(diff()).toEqual(["C /g"]);
  });

  test("does not see a change that restores size and mtime", () => {
    put("/old/f", "one");
    copy();
    const { atime, mtime } = must(host.task.stat("/new/f"));
    put("/new/f", "two");
    expect(diff()).toEqual(["C /f"]);
    must(host.task.utimens("/new/f", atime, mtime));
    expect(diff()).toEqual([]);
  });

  test("takes times of one second as equal when either has no nanoseconds", () => {
    put("/old/f", "x");
    copy();
    must(host.task.utimens("/old/f", "OMIT", { seconds: 5, nanoseconds: 1 }));
    must(host.task.utimens("/new/f", "OMIT", { seconds: 5, nanoseconds: 0 }));
    expect(diff()).toEqual([]);
    must(host.task.utimens("/new/f", "OMIT", { seconds: 5, nanoseconds: 2 }));
    expect(diff()).toEqual(["C /f"]);
  });

  test("tells a folder that became a file as one change, a file that became a folder with what is in it", () => {
    must(host.task.mkdir("/old/a"));
    put("/old/a/f", "x");
    put("/old/b", "x");
    copy();
    must(host.task.unlink("/new/a/f"));
    must(host.task.rmdir("/new/a"));
    put("/new/a", "x");
    must(host.task.unlink("/new/b"));
    must(host.task.mkdir("/new/b"));
    put("/new/b/f", "x");
    expect(diff()).toEqual(["C /a", "C /b", "A /b/f"]);
  });

  test("skips names that are one inode on one device", () => {
    must(host.task.mkdir("/new"));
    put("/old/f", "x");
    must(host.task.link("/old/f", "/new/f"));
    put("/new/f", "longer");
    expect(diff()).toEqual([]);
  });

  test("takes everything as added when there is no parent", () => {
    put("/old/f", "x");
    expect(treeChanges(host.task, undefined, "/old")).toEqual([{ kind: "A", path: "/f" }]);
  });
});

test("the size of changes counts each hard-linked inode once, and no folder or removal", () => {
  put("/old/a", "123");
  put("/old/gone", "123456");
  copy();
  put("/new/b", "12345");
  must(host.task.link("/new/b", "/new/c"));
  must(host.task.mkdir("/new/d"));
  must(host.task.unlink("/new/gone"));
  expect(changesSize(host.task, "/new", must(treeChanges(host.task, "/old", "/new")))).toBe(5);
});
