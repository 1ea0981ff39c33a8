/**
 * Which files a COPY or ADD names, and what the cache calls them (moby v20.10.27 builder/dockerfile/copy.go).
 */
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { newAttributes, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { NewHasher } from "../archive/digest.ts";
import { byBytes } from "../archive/export.ts";
import { globExpression } from "../archive/glob.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { sortedNames } from "../drivers/files.ts";
import { scopedPath } from "../layers/scoped-path.ts";
import type { CopySource } from "./build-context.ts";
import { joinedSum } from "./tar-sum.ts";

/** What an instruction copies. */
export interface ChosenSources {
  /** By paths below the source's root, as they were written or found. */
  readonly paths: readonly string[];
  /** What the history calls them all. */
  readonly sum: string;
}

interface Choosing {
  readonly verb: "COPY" | "ADD";
  readonly source: CopySource;
  /** A process whose root is the source's. */
  readonly inside: Task;
  readonly newHasher: NewHasher;
}

/** Docker's word for COPY; for ADD our own, since there is no network. */
const URL_REFUSED = { COPY: "source can't be a URL for COPY", ADD: "there is no network here to fetch a URL from" };

/** Calls `visit` with every path below `path`, itself first, names by their bytes; links are not followed (filepath.Walk). */
export function walkTree(inside: Task, path: string, visit: (path: string) => void): void {
  visit(path);
  const of = newAttributes();
  if (isErrno(inside.lstat(path, of)) || (of.mode & S_IFMT) !== S_IFDIR) return;
  const names = sortedNames(inside, path);
  if (isDriverError(names)) return;
  for (const name of names) walkTree(inside, path === "/" ? `/${name}` : `${path}/${name}`, visit);
}

/** Finds what the words of an instruction name. */
export function chooseSources(choosing: Choosing, written: readonly string[]): ChosenSources | DriverError {
  const paths: string[] = [];
  const sums: string[] = [];
  for (const word of written) {
    if (/^https?:\/\//.test(word)) return new DriverError(URL_REFUSED[choosing.verb]);
    const plain = word.replace(/^\//, "").replace(/^\.\//, "");
    const found = hasPattern(plain) ? matching(choosing.inside, plain) : [plain];
    for (const path of found) {
      const sum = sumOf(choosing, path);
      if (isDriverError(sum)) return sum;
      paths.push(path);
      sums.push(sum);
    }
  }
  const [only] = sums;
  if (only === undefined) return new DriverError("no source files were specified");
  return { paths, sum: sums.length === 1 ? only : joinedSum("multi", sums, choosing.newHasher) };
}

function hasPattern(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ""));
}

function matching(inside: Task, pattern: string): readonly string[] {
  const expression = globExpression(pattern);
  const found: string[] = [];
  walkTree(inside, "/", (path) => {
    if (path !== "/" && expression?.test(path.slice(1)) === true) found.push(path.slice(1));
  });
  return found;
}

/** Whether a path without a slash in front leads above where it begins. */
function leadsOut(path: string): boolean {
  let depth = 0;
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    depth += part === ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

/** Where a path of the source leads: below its root, without symbolic links. */
export function sourcePath(inside: Task, path: string): string | DriverError {
  if (leadsOut(path)) return new DriverError(`forbidden path outside the build context: ${path} ()`);
  return scopedPath(inside, path);
}

function sumOf(choosing: Choosing, path: string): string | DriverError {
  const { source, inside, newHasher } = choosing;
  const real = sourcePath(inside, path);
  if (isDriverError(real)) return real;
  const of = newAttributes();
  const looked = inside.lstat(real, of);
  if (isErrno(looked)) {
    if (looked !== ENOENT) return new DriverError(`lstat ${path}: ${looked.text.toLowerCase()}`, { errno: looked });
    const where = source.isContext ? "file not found in build context or excluded by .dockerignore: " : "";
    return new DriverError(`${where}stat ${path}: file does not exist`, { errno: looked });
  }
  if ((of.mode & S_IFMT) !== S_IFDIR) return `file:${source.sum(real) ?? path}`;
  const sums: string[] = [];
  walkTree(inside, real, (found) => {
    if (found !== "/") sums.push(sumFollowed(choosing, found));
  });
  return joinedSum("dir", sums.sort(byBytes), newHasher);
}

/** What a path's file is called, where it is a link that of which it names; of one that leads nowhere its path. */
function sumFollowed({ source, inside }: Choosing, path: string): string {
  const real = scopedPath(inside, path);
  const sum = isDriverError(real) ? undefined : source.sum(real);
  return sum ?? (source.isContext || isDriverError(real) ? path : real).slice(1);
}
