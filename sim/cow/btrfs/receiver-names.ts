/**
 * Which inode has which names at the receiver of a send stream, while the stream is made: those of the parent snapshot, changed by what was sent
 * (fs/btrfs/send.c: get_cur_path, orphanize_inode).
 */
import { assert } from "../../core/assert.ts";
import { Cursor } from "../cursor.ts";
import type { DirEntry, InodeExtref, InodeRef } from "./items.ts";
import { DIR_INDEX, DIR_ITEM, FIRST_FREE, INODE_EXTREF, INODE_REF, key } from "./layout.ts";
import { nameHash } from "./name-hash.ts";
import type { Subvolume } from "./subvolume.ts";

/** A name in a directory, by inode numbers. */
export interface NamePlace {
  readonly parent: number;
  readonly name: string;
}

/** The names that an inode other than the root folder has in a subvolume, in the order of its items. */
export function namesIn(subvolume: Subvolume, ino: number): NamePlace[] {
  const out: NamePlace[] = [];
  const cursor = new Cursor(subvolume.tree);
  const end = key(ino, INODE_EXTREF + 1);
  for (let more = cursor.seek(key(ino, INODE_REF)); more && cursor.compare(end) < 0; more = cursor.next()) {
    const { kind, offset } = cursor.key;
    const refs = cursor.value as readonly (InodeRef | InodeExtref)[];
    for (const ref of refs) out.push({ parent: kind === INODE_REF ? offset : (ref as InodeExtref).parent, name: ref.name });
  }
  return out;
}

/** The first name of an inode that is in a subvolume and not its root folder. */
export function firstNameIn(subvolume: Subvolume, ino: number): NamePlace {
  const [first] = namesIn(subvolume, ino);
  assert(first !== undefined, `inode ${ino} of subvolume ${subvolume.id} has a name`);
  return first;
}

export class ReceiverNames {
  readonly #parent: Subvolume | undefined;
  readonly #places = new Map<number, readonly NamePlace[]>();
  /** What was sent of entries: directory and name to inode, 0 for gone. */
  readonly #entries = new Map<string, number>();
  /** How many entries a directory has more than in the parent snapshot. */
  readonly #more = new Map<number, number>();

  constructor(parent: Subvolume | undefined) {
    this.#parent = parent;
  }

  places(ino: number): readonly NamePlace[] {
    return this.#places.get(ino) ?? (this.#parent === undefined ? [] : namesIn(this.#parent, ino));
  }

  /** Whether the receiver has the inode. */
  has(ino: number): boolean {
    return ino === FIRST_FREE || this.places(ino).length > 0;
  }

  /** The inode that has a name now; 0 for none. */
  at(parent: number, name: string): number {
    const known = this.#entries.get(`${parent}/${name}`);
    if (known !== undefined) return known;
    const entries = this.#parent?.tree.get(key(parent, DIR_ITEM, nameHash(name))) as readonly DirEntry[] | undefined;
    return entries?.find((entry) => entry.name === name && !entry.isSubvolume)?.target ?? 0;
  }

  add(ino: number, place: NamePlace): void {
    this.#places.set(ino, [...this.places(ino), place]);
    this.#entries.set(`${place.parent}/${place.name}`, ino);
    this.#count(place.parent, 1);
  }

  remove(ino: number, place: NamePlace): void {
    const left = this.places(ino).filter((one) => one.parent !== place.parent || one.name !== place.name);
    this.#places.set(ino, left);
    this.#entries.set(`${place.parent}/${place.name}`, 0);
    this.#count(place.parent, -1);
  }

  /** The names of an inode are in this order from now on, behind others that it still has: the first one tells of it. */
  order(ino: number, wanted: readonly NamePlace[]): void {
    const rank = (place: NamePlace): number =>
      wanted.findIndex(({ parent, name }) => parent === place.parent && name === place.name);
    this.#places.set(
      ino,
      this.places(ino).toSorted((one, other) => rank(one) - rank(other)),
    );
  }

  #count(directory: number, by: number): void {
    this.#more.set(directory, (this.#more.get(directory) ?? 0) + by);
  }

  isEmpty(directory: number): boolean {
    let entries = this.#more.get(directory) ?? 0;
    this.#parent?.tree.visit(key(directory, DIR_INDEX), key(directory, DIR_INDEX + 1), (_at, value) => {
      if (!(value as DirEntry).isSubvolume) entries += 1;
      return false;
    });
    return entries === 0;
  }

  /** The path of a place from the subvolume's root. */
  pathOf(place: NamePlace): string {
    const above = this.path(place.parent);
    return above === "" ? place.name : `${above}/${place.name}`;
  }

  /** The path of an inode by its first name. */
  path(ino: number): string {
    if (ino === FIRST_FREE) return "";
    return this.pathOf(this.first(ino));
  }

  /** The first name of an inode that the receiver has. */
  first(ino: number): NamePlace {
    const [first] = this.places(ino);
    assert(first !== undefined, `inode ${ino} has a name at the receiver`);
    return first;
  }
}
