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
const MARKS = ["opaque", "redirect", "metacopy", "whiteout"];

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
  const rows: UpperRow[] = [];
  const of = newAttributes();
  const visit = (path: string): void => {
    const entries = task.readdir(folder + path);
    if (isErrno(entries)) return;
    for (const { name } of entries) {
      const at = `${path}/${name}`;
      if (isErrno(task.lstat(folder + at, of))) continue;
      const isFolder = (of.mode & S_IFMT) === S_IFDIR;
      const marks = marksOf(task, folder + at);
      rows.push(Object.keys(marks).length > 0 ? [at, kindOf(of), marks] : [at, kindOf(of)]);
      if (isFolder) visit(at);
    }
  };
  visit("");
  return rows.sort(([one], [other]) => compareTexts(one, other));
}
