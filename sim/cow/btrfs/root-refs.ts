/** A subvolume's name: an entry of a directory, and a reference each way in the root tree (fs/btrfs/root-tree.c: btrfs_add_root_ref). */
import { assert } from "../../core/assert.ts";
import { utf8Length } from "../../core/names.ts";
import { S_IFDIR } from "../../vfs/filesystem.ts";
import { addEntry, removeEntry, takeIndex } from "./directories.ts";
import type { InodeState } from "./inode-state.ts";
import type { RootRef } from "./items.ts";
import { key, ROOT_BACKREF, ROOT_REF, ROOT_REF_BYTES } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

export function nameSubvolume(state: BtrfsState, directory: InodeState, name: string, id: number): void {
  const index = takeIndex(directory);
  addEntry(state, directory, { name, target: id, isSubvolume: true, type: S_IFDIR }, index);
  const ref: RootRef = { directory: directory.ino, index, name };
  const size = ROOT_REF_BYTES + utf8Length(name);
  state.rootTree.set(key(directory.subvolume.id, ROOT_REF, id), size, ref);
  state.rootTree.set(key(id, ROOT_BACKREF, directory.subvolume.id), size, ref);
}

export function unnameSubvolume(state: BtrfsState, directory: InodeState, name: string, id: number): void {
  const parent = directory.subvolume.id;
  const ref = state.rootTree.get(key(parent, ROOT_REF, id)) as RootRef | undefined;
  assert(ref !== undefined, `subvolume ${id} has its name in subvolume ${parent}`);
  removeEntry(state, directory, name, () => (ref as RootRef).index);
  state.rootTree.remove(key(parent, ROOT_REF, id));
  state.rootTree.remove(key(id, ROOT_BACKREF, parent));
}
