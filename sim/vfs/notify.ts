/**
 * The calls that make, remove and move names while somebody watches: each as its own file makes it, and the events in the kernel's order
 * (include/linux/fsnotify.h; Linux 6.18).
 */
import { type Errno, isErrno } from "../core/errno.ts";
import { hasName, loseName, moveNames, type Named } from "./dentries.ts";
import { RENAME_EXCHANGE, S_IFDIR, typeOf } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import type { Process } from "./process.ts";
import { rmdir, unlink } from "./remove.ts";
import { rename } from "./rename.ts";
import { IN_ATTRIB, IN_CREATE, IN_DELETE, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, type Watches } from "./watches.ts";

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

/** Keeps an inode over a call that may take its last name. */
function holding<T>(place: Position | undefined, act: () => T): T {
  place?.mount.fs.hold(place.inode);
  const result = act();
  place?.mount.fs.drop(place.inode);
  return result;
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

/** An inode without names ends for those who watch it, unless something is open by the name that went (dentry_unlink_inode). */
function endIfLost(task: Process, watches: Watches, child: Position, isOpen: boolean): void {
  if (!isOpen && (isFolder(child) || !hasName(task, child))) watches.gone(child);
}

/** unlink(2) and rmdir(2). */
export function watchedRemove(task: Process, watches: Watches, path: string, what: "file" | "folder"): Errno | undefined {
  const { directory, name, child } = before(task, path);
  return holding(child, () => {
    const failed = what === "file" ? unlink(task, path) : rmdir(task, path);
    if (failed !== undefined || directory === undefined || child === undefined) return failed;
    const isOpen = loseName(task, { directory, name });
    if (what === "file") watches.self(child, IN_ATTRIB);
    endIfLost(task, watches, child, isOpen);
    watches.named(directory, what === "folder" ? IN_DELETE | IN_ISDIR : IN_DELETE, name);
    return undefined;
  });
}

/** renameat2(2) (vfs_rename). */
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
    const from = { directory: source.directory, name: source.name };
    const to = { directory: target.directory, name: target.name };
    const exchange = (flags & RENAME_EXCHANGE) !== 0;
    const replaced = exchange ? undefined : target.child;
    const isOpen = replaced !== undefined && loseName(task, to);
    moveNames(task, from, to, exchange);
    tellMove(watches, { from, to, moved: source.child, replaced });
    if (exchange && target.child !== undefined)
      tellMove(watches, { from: to, to: from, moved: target.child, replaced: undefined });
    if (replaced !== undefined) endIfLost(task, watches, replaced, isOpen);
    return undefined;
  });
}

/** fsnotify_move. */
function tellMove(
  watches: Watches,
  { from, to, moved, replaced }: { from: Named; to: Named; moved: Position; replaced: Position | undefined },
): void {
  const bit = isFolder(moved) ? IN_ISDIR : 0;
  watches.named(from.directory, IN_MOVED_FROM | bit, from.name);
  watches.named(to.directory, IN_MOVED_TO | bit, to.name);
  if (replaced !== undefined) watches.self(replaced, isFolder(replaced) ? IN_ATTRIB | IN_ISDIR : IN_ATTRIB);
  watches.self(moved, IN_MOVE_SELF);
}
