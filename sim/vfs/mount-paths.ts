/**
 * Where mounts are, as a process sees them (kernel: /proc/self/mountinfo).
 */
import { isErrno } from "../core/errno.ts";
import type { NameTable } from "../core/names.ts";
import type { FileSystem, Inode } from "./filesystem.ts";
import type { Mount, Position } from "./mount.ts";

/** The name of a directory in the one above it, which a filesystem does not keep: O(entries). */
function nameOf(fs: FileSystem, inode: Inode, names: NameTable): string {
  const parent = fs.parentOf(inode);
  let found = "";
  fs.iterate(parent, (name) => {
    const child = found === "" ? fs.lookup(parent, name) : undefined;
    if (child !== undefined && !isErrno(child) && child === inode) found = names.text(name);
  });
  return found;
}

/** The path of a place below the root of a process; undefined where it is outside. */
function pathOf(root: Position, place: Position, names: NameTable): string | undefined {
  let path = "";
  let { mount, inode } = place;
  while (mount !== root.mount || inode !== root.inode) {
    if (inode !== mount.root) {
      path = `/${nameOf(mount.fs, inode, names)}${path}`;
      inode = mount.fs.parentOf(inode);
    } else {
      if (mount.parent === undefined) return undefined;
      inode = mount.coveredInode;
      mount = mount.parent;
    }
  }
  return path === "" ? "/" : path;
}

/** Where a mount's top is, for a process with a root of its own; "/" for the one that its root lies in. */
export function mountPath(root: Position, mount: Mount, names: NameTable): string | undefined {
  return mount === root.mount ? "/" : pathOf(root, { mount, inode: mount.root }, names);
}

/** Every mount that a process sees, with its path: that of its root first, then as they were made. */
export function mountsBelow(root: Position, mounts: readonly Mount[], names: NameTable): (readonly [Mount, string])[] {
  const seen: (readonly [Mount, string])[] = [[root.mount, "/"]];
  for (const mount of mounts) {
    const path = mount === root.mount ? undefined : mountPath(root, mount, names);
    if (path !== undefined) seen.push([mount, path]);
  }
  return seen;
}
