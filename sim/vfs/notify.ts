/**
 * The calls that make, remove and move names while somebody watches: each as its own file makes it, and the events in the kernel's order
 * (include/linux/fsnotify.h; Linux 6.18).
 */
import { type Errno, isErrno } from "../core/errno.ts";
import { newAttributes, O_CREAT, O_TRUNC, S_IFDIR, typeOf } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { open } from "./open.ts";
import type { Process } from "./process.ts";
import { rmdir, unlink } from "./remove.ts";
import { rename } from "./rename.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  type Watches,
} from "./watches.ts";

/** What a path named before a call: its directory, its last name, and what was there. */
interface Before {
  readonly directory: Position | undefined;
  readonly name: string;
  readonly child: Position | undefined;
}

function before({ walk, vfs }: Process, path: string): Before {
  if (walk.parent(path) !== undefined) return { directory: undefined, name: "", child: undefined };
  const directory = walk.position();
  const name = vfs.names.text(walk.name);
  const found = walk.kind === "normal" ? walk.child() : undefined;
  return { directory, name, child: found === undefined || isErrno(found) ? undefined : { mount: walk.mount, inode: found } };
}

function isFolder(place: Position | undefined): boolean {
  return place !== undefined && typeOf(place.mount.fs, place.inode) === S_IFDIR;
}

function linksOf({ mount, inode }: Position): number {
  const of = newAttributes();
  mount.fs.getattr(inode, of);
  return of.nlink;
}

/** Keeps an inode over a call that may take its last name. */
function holding<T>(place: Position | undefined, act: () => T): T {
  place?.mount.fs.hold(place.inode);
  const result = act();
  place?.mount.fs.drop(place.inode);
  return result;
}

/** open(2): a file that is made, or cut. */
export function watchedOpen(task: Process, watches: Watches, path: string, how: { flags: number; mode: number }): number | Errno {
  const there = (how.flags & (O_CREAT | O_TRUNC)) === 0 ? undefined : before(task, path);
  const fd = open(task, path, how.flags, how.mode);
  if (isErrno(fd)) return fd;
  const file = task.files.get(fd);
  if (file !== undefined) file.openedAs = path;
  if (there === undefined || file === undefined) return fd;
  if ((how.flags & O_CREAT) !== 0 && there.child === undefined && there.directory !== undefined)
    watches.named(there.directory, IN_CREATE, there.name);
  else if ((how.flags & O_TRUNC) !== 0) watches.changed(file, IN_MODIFY, path);
  return fd;
}

/** A call that makes a name. @param act.isLink - whether it names a file that is there already (fsnotify_link) */
export function watchedMake(
  task: Process,
  watches: Watches,
  path: string,
  act: { readonly make: () => Errno | undefined; readonly isLink: boolean },
): Errno | undefined {
  const failed = act.make();
  if (failed !== undefined) return failed;
  const { directory, name, child } = before(task, path);
  if (act.isLink && child !== undefined) watches.self(child, IN_ATTRIB);
  if (directory !== undefined) watches.named(directory, isFolder(child) ? IN_CREATE | IN_ISDIR : IN_CREATE, name);
  return undefined;
}

/** unlink(2) and rmdir(2). */
export function watchedRemove(task: Process, watches: Watches, path: string, what: "file" | "folder"): Errno | undefined {
  const { directory, name, child } = before(task, path);
  return holding(child, () => {
    const failed = what === "file" ? unlink(task, path) : rmdir(task, path);
    if (failed !== undefined || directory === undefined || child === undefined) return failed;
    if (what === "file") watches.self(child, IN_ATTRIB);
    if (what === "folder" || linksOf(child) === 0) watches.gone(child);
    watches.named(directory, what === "folder" ? IN_DELETE | IN_ISDIR : IN_DELETE, name);
    return undefined;
  });
}

/** renameat2(2). */
export function watchedRename(
  task: Process,
  watches: Watches,
  paths: readonly [string, string],
  flags: number,
): Errno | undefined {
  const source = before(task, paths[0]);
  const target = before(task, paths[1]);
  return holding(target.child, () => {
    const failed = rename(task, paths[0], paths[1], flags);
    if (failed !== undefined || source.directory === undefined || target.directory === undefined) return failed;
    if (source.child === undefined || source.child.inode === target.child?.inode) return undefined;
    const bit = isFolder(source.child) ? IN_ISDIR : 0;
    watches.named(source.directory, IN_MOVED_FROM | bit, source.name);
    watches.named(target.directory, IN_MOVED_TO | bit, target.name);
    const replaced = flags === 0 ? target.child : undefined;
    if (replaced !== undefined) {
      if (bit === 0) watches.self(replaced, IN_ATTRIB);
      if (bit !== 0 || linksOf(replaced) === 0) watches.gone(replaced);
    }
    watches.self(source.child, IN_MOVE_SELF);
    return undefined;
  });
}
