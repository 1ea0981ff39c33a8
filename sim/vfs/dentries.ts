/**
 * The names by which files are open, while somebody watches: where they go, and when the last that leads to an inode without names ends (fs/dcache.c:
 * d_move, dentry_unlink_inode; Linux 6.18).
 */
import type { FileSystem } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import type { OpenFile } from "./open-file.ts";
import type { Process } from "./process.ts";
import type { Dentry, Watches } from "./watches.ts";

/** A name of a directory. */
export interface Named {
  readonly directory: Position;
  readonly name: string;
}

/** Whether i_nlink is not 0. */
export function hasName(task: Process, { mount: { fs }, inode }: Position): boolean {
  const own = fs.ownLinks?.(inode);
  if (own !== undefined) return own > 0;
  fs.getattr(inode, task.scratch);
  return task.scratch.nlink > 0;
}

/** The names of a filesystem by which something is open. */
function openNames({ vfs }: Process, fs: FileSystem): { readonly file: OpenFile; readonly dentry: Dentry }[] {
  const found: { file: OpenFile; dentry: Dentry }[] = [];
  for (const table of vfs.tables) {
    for (const file of table.open())
      if (file.mount.fs === fs && file.dentry !== undefined) found.push({ file, dentry: file.dentry });
  }
  return found;
}

/** Those that are one name of a directory now. */
function namesAt(task: Process, { directory: { mount, inode }, name }: Named): Dentry[] {
  return openNames(task, mount.fs).flatMap(({ dentry }) =>
    !dentry.gone && dentry.directory === inode && dentry.name === name ? [dentry] : [],
  );
}

/** A name is another one from now on; with `exchange` that one takes its place. */
export function moveNames(task: Process, from: Named, to: Named, exchange: boolean): void {
  const moved = namesAt(task, from);
  const others = exchange ? namesAt(task, to) : [];
  const put = (dentries: readonly Dentry[], { directory, name }: Named): void => {
    for (const dentry of dentries) {
      dentry.directory = directory.inode;
      dentry.name = name;
    }
  };
  put(moved, to);
  put(others, from);
}

/** A name is gone. @returns whether something is open by it. */
export function loseName(task: Process, named: Named): boolean {
  const lost = namesAt(task, named);
  for (const dentry of lost) dentry.gone = true;
  return lost.length > 0;
}

/** A file was closed: the watches of an inode without names end when nothing is open any more by the name that this one was opened by. */
export function endDentry(task: Process, watches: Watches, { mount, inode, dentry }: OpenFile): void {
  if (dentry?.gone !== true || !watches.isWatched(mount.fs, inode)) return;
  const isOpen = openNames(task, mount.fs).some((other) => other.file.inode === inode && isSame(other.dentry, dentry));
  if (!isOpen && !hasName(task, { mount, inode })) watches.gone({ mount, inode });
}

function isSame(one: Dentry, other: Dentry): boolean {
  return one.gone && one.directory === other.directory && one.name === other.name;
}
