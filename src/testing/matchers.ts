/**
 * Matchers for vitest (and jest, whose `expect.extend` takes the same): what a call answered, what a tree holds, whether the books add up.
 *
 *   expect.extend(matchers);
 *   expect(task.rename("/a", "/b")).toBeErrno("EXDEV");
 *   expect(task).toHoldTree({ etc: { hosts: "127.0.0.1 localhost\n" } });
 *   expect(host).toAddUp();
 */
import { InvariantError } from "../../sim/core/assert.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { O_RDONLY, S_IFDIR, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { isDriverError } from "../drivers/driver.ts";

interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

/** Folders as objects, files by their text, symbolic links as "-> target". */
export type TreeText = { readonly [name: string]: TreeText | string };

/** The most of one file that is read. */
const FILE_MAX = 2 ** 30;

/** A folder of a task's tree as text; a lost+found is left out. */
export function treeText(task: Task, path = "/"): TreeText {
  const out: Record<string, TreeText | string> = {};
  const entries = task.readdir(path);
  if (isErrno(entries)) return out;
  for (const { name, type } of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const at = path === "/" ? `/${name}` : `${path}/${name}`;
    if (type === S_IFDIR) {
      if (name !== "lost+found") out[name] = treeText(task, at);
    } else if (type === S_IFLNK) out[name] = `-> ${String(task.readlink(at))}`;
    else out[name] = fileText(task, at);
  }
  return out;
}

function fileText(task: Task, path: string): string {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd.code;
  const content = task.read(fd, FILE_MAX);
  task.close(fd);
  return isErrno(content) ? content.code : content.toText();
}

function told(value: unknown): string {
  if (isErrno(value)) return value.code;
  if (isDriverError(value)) return value.message;
  return value === undefined ? "success" : String(value);
}

function toBeErrno(got: unknown, code: string): MatcherResult {
  const pass = isErrno(got) ? got.code === code : isDriverError(got) && got.errno?.code === code;
  return { pass, message: () => `expected ${pass ? "anything but " : ""}${code}, got ${told(got)}` };
}

function toSucceed(got: unknown): MatcherResult {
  const pass = !isErrno(got) && !isDriverError(got);
  return { pass, message: () => (pass ? "expected a failure" : `expected success, got ${told(got)}`) };
}

function toHoldTree(task: Task, wanted: TreeText): MatcherResult {
  const found = JSON.stringify(treeText(task), null, 1);
  const sorted = JSON.stringify(sortedTree(wanted), null, 1);
  const pass = found === sorted;
  return { pass, message: () => `expected ${pass ? "another tree than" : "the tree"} ${sorted}, found ${found}` };
}

function sortedTree(tree: TreeText): TreeText {
  const names = Object.keys(tree).sort();
  return Object.fromEntries(
    names.map((name) => {
      const node = tree[name] ?? "";
      return [name, typeof node === "string" ? node : sortedTree(node)];
    }),
  );
}

function toAddUp(engine: { check(): void }): MatcherResult {
  try {
    engine.check();
    return { pass: true, message: () => "expected books that do not add up" };
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return { pass: false, message: () => error.message };
  }
}

export const matchers: {
  readonly toBeErrno: typeof toBeErrno;
  readonly toSucceed: typeof toSucceed;
  readonly toHoldTree: typeof toHoldTree;
  readonly toAddUp: typeof toAddUp;
} = { toBeErrno, toSucceed, toHoldTree, toAddUp };
