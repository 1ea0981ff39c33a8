/**
 * What a union driver left in a layer's own folder, in the form of the traces: whiteouts and marks told by name.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { type Attributes, newAttributes, S_IFCHR, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { bytesText, compareTexts, typeName } from "../calls/show.ts";

/** Path, type (or "whiteout"), and the marks where there are some. */
export type UpperRow =
  | readonly [path: string, type: string]
  | readonly [path: string, type: string, marks: Readonly<Record<string, string>>];

/** The trusted.overlay.* attributes that are told. */
const MARKS = ["opaque", "redirect", "metacopy", "whiteout", "protattr"];

function kindOf(of: Attributes): string {
  return (of.mode & S_IFMT) === S_IFCHR && of.rdev === 0 ? "whiteout" : typeName(of.mode);
}

function marksOf(task: Task, path: string): Record<string, string> {
  const marks: Record<string, string> = {};
  for (const mark of MARKS) {
    const value = task.lgetxattr(path, `trusted.overlay.${mark}`);
    if (!isErrno(value)) marks[mark] = bytesText(value);
  }
  return marks;
}

/** Every object below a folder, sorted by path. */
export function upperRows(task: Task, folder: string): UpperRow[] {
  return rowsOf(task, folder, (path, of) => {
    const marks = marksOf(task, folder + path);
    return Object.keys(marks).length > 0 ? [path, kindOf(of), marks] : [path, kindOf(of)];
  });
}

/** aufs's whiteouts and the mark of an opaque directory, by their names; its other entries begin as the mark does. */
const WHITEOUT_PREFIX = ".wh.";
const OWN_PREFIX = ".wh..wh.";
const OPAQUE_MARKER = ".wh..wh..opq";

/** Every object below the folder of an aufs branch, sorted by path: whiteouts under the names that they hide; aufs's own entries left out. */
export function branchRows(task: Task, folder: string): UpperRow[] {
  const found = new Map<string, UpperRow>();
  const marks: UpperRow[] = [];
  for (const row of rowsOf(task, folder, (path, of) => [path, typeName(of.mode)])) {
    const [path] = row;
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    if (!path.includes(`/${WHITEOUT_PREFIX}`)) found.set(path, row);
    else if (name === OPAQUE_MARKER) marks.push([path.slice(0, slash), "dir", { opaque: "y" }]);
    else if (!path.includes(`/${OWN_PREFIX}`)) {
      const hidden = `${path.slice(0, slash)}/${name.slice(WHITEOUT_PREFIX.length)}`;
      marks.push([hidden, "whiteout"]);
    }
  }
  for (const row of marks) found.set(row[0], row);
  return [...found.values()].sort(([one], [other]) => compareTexts(one, other));
}

function rowsOf(task: Task, folder: string, rowOf: (path: string, of: Attributes) => UpperRow): UpperRow[] {
  const rows: UpperRow[] = [];
  const of = newAttributes();
  const visit = (path: string): void => {
    const entries = task.readdir(folder + path);
    if (isErrno(entries)) return;
    for (const { name } of entries) {
      const at = `${path}/${name}`;
      if (isErrno(task.lstat(folder + at, of))) continue;
      const isFolder = (of.mode & S_IFMT) === S_IFDIR;
      rows.push(rowOf(at, of));
      if (isFolder) visit(at);
    }
  };
  visit("");
  return rows.sort(([one], [other]) => compareTexts(one, other));
}
