/**
 * A directory as a ZAP object (module/zfs/zap_micro.c, zap.c, zap_leaf.c): one block of entries of 64 bytes while it is small, a hash
 * table of leaves of 16 KiB afterwards.
 *
 * Interface: names and objects are in the mount's DentryTable; here is how they lie in blocks. `add` and `remove` follow the table, `sync` writes what changed.
 */
import { Content } from "../../../core/content.ts";
import { type Errno, isErrno } from "../../../core/errno.ts";
import type { Name, NameTable } from "../../../core/names.ts";
import { alignUp } from "../../../core/units.ts";
import type { DentryTable } from "../../../vfs/dentry-table.ts";
import { EMBEDDED_MAX, SECTOR } from "../compress.ts";
import { headLength, LEAF_BYTES, leafChunks, leafHolds, leafLength, MICRO_NAME_MAX, microDirectoryLength } from "../encode.ts";
import type { ObjectSet } from "../object-set.ts";
import type { ObjectIo, PendingObject } from "../pending.ts";
import { BLOCK_SIZE, BLOCKS, type DirectoryRecord } from "../records.ts";

/** MZAP_MAX_BLKSZ. */
const MICRO_BYTES_MAX = 131_072;
const MICRO_UNIT = 64;

/** A leaf of a large directory: the names whose hash begins with its prefix. */
interface Leaf {
  /** Bits of its prefix. */
  depth: number;
  names: Name[];
  chunks: number;
  dirty: boolean;
}

interface Parts {
  readonly object: number;
  readonly set: ObjectSet;
  readonly dentries: DentryTable;
  readonly names: NameTable;
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export class DirectoryData implements PendingObject {
  readonly #parts: Parts;
  /** The leaves by the first bits of a hash; undefined while the directory is small. */
  #table: number[] | undefined;
  #depth = 0;
  #leaves: Leaf[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Reads the names from the device into the table. */
  load(): Errno | undefined {
    const { object, set } = this.#parts;
    const first = this.#record(0);
    if (first === undefined || isErrno(first)) return first;
    if (first.leaves === undefined) {
      this.#insert(first);
      return undefined;
    }
    this.#table = [...first.leaves];
    this.#depth = Math.log2(first.leaves.length);
    for (let block = 1; block < set.word(object, BLOCKS); block++) {
      const leaf = this.#record(block);
      if (leaf === undefined || isErrno(leaf)) return leaf;
      const names = this.#insert(leaf);
      const chunks = names.reduce((sum, name) => sum + leafChunks(this.#parts.names.byteLength(name)), 0);
      this.#leaves.push({ depth: leaf.leaves?.[0] ?? 0, names, chunks, dirty: false });
    }
    return undefined;
  }

  #record(block: number): DirectoryRecord | undefined | Errno {
    const { set, object } = this.#parts;
    const pointer = set.pointerOf(object, block);
    if (pointer === undefined || isErrno(pointer)) return pointer;
    const record = set.store.readRecord(pointer);
    return isErrno(record) ? record : (record as DirectoryRecord);
  }

  #insert(record: DirectoryRecord): Name[] {
    const { object, dentries, names } = this.#parts;
    const found: Name[] = [];
    for (let at = 0; at < record.entries.length; at += 2) {
      const known = record.entries[at] as Name;
      const name = record.names === names ? known : names.intern(record.names.text(known));
      dentries.insert(object, name, record.entries[at + 1] as number);
      found.push(name);
    }
    return found;
  }

  /** A name was put into the table, or leads to another object now. */
  add(name: Name): void {
    const { object, set, names, dentries } = this.#parts;
    set.addPending(object, this);
    if (this.#table === undefined) {
      const bytes = MICRO_UNIT * (dentries.count(object) + 1);
      if (bytes <= MICRO_BYTES_MAX && names.byteLength(name) <= MICRO_NAME_MAX) {
        if (bytes > set.word(object, BLOCK_SIZE)) set.setWord(object, BLOCK_SIZE, alignUp(bytes, SECTOR));
        set.setWord(object, BLOCKS, 1);
        return;
      }
      this.#enlarge();
      return;
    }
    const leaf = this.#leafOf(name);
    leaf.dirty = true;
    if (leaf.names.includes(name)) return;
    this.#put(name);
  }

  /** A name is about to be taken out of the table. */
  remove(name: Name): void {
    const { object, set, names } = this.#parts;
    set.addPending(object, this);
    if (this.#table === undefined) return;
    const leaf = this.#leafOf(name);
    leaf.names.splice(leaf.names.indexOf(name), 1);
    leaf.chunks -= leafChunks(names.byteLength(name));
    leaf.dirty = true;
  }

  /** From one block to a table of leaves (mzap_upgrade). */
  #enlarge(): void {
    const { object, set, dentries } = this.#parts;
    this.#table = [0];
    this.#depth = 0;
    this.#leaves = [{ depth: 0, names: [], chunks: 0, dirty: true }];
    set.setWord(object, BLOCK_SIZE, LEAF_BYTES);
    for (let row = dentries.first(object); row !== 0; row = dentries.next(row)) this.#put(dentries.name(row));
  }

  #slot(name: Name): number {
    return this.#depth === 0 ? 0 : hashOf(this.#parts.names.text(name)) >>> (32 - this.#depth);
  }

  #leafOf(name: Name): Leaf {
    return this.#leaves[(this.#table as number[])[this.#slot(name)] as number] as Leaf;
  }

  #put(name: Name): void {
    const needed = leafChunks(this.#parts.names.byteLength(name));
    let leaf = this.#leafOf(name);
    while (!leafHolds(leaf.chunks + needed) && leaf.depth < 32) {
      this.#split(this.#slot(name));
      leaf = this.#leafOf(name);
    }
    leaf.names.push(name);
    leaf.chunks += needed;
    leaf.dirty = true;
    this.#parts.set.setWord(this.#parts.object, BLOCKS, this.#leaves.length + 1);
  }

  /** Divides the leaf of a slot by one more bit of the hash (zap_expand_leaf). */
  #split(slot: number): void {
    let table = this.#table as number[];
    let at = slot;
    const index = table[slot] as number;
    const leaf = this.#leaves[index] as Leaf;
    if (leaf.depth === this.#depth) {
      table = table.flatMap((one) => [one, one]);
      this.#table = table;
      this.#depth += 1;
      at = slot * 2;
    }
    leaf.depth += 1;
    const made: Leaf = { depth: leaf.depth, names: [], chunks: 0, dirty: true };
    this.#leaves.push(made);
    const span = 2 ** (this.#depth - leaf.depth);
    const first = Math.floor(at / (span * 2)) * span * 2;
    for (let n = first + span; n < first + 2 * span; n++) table[n] = this.#leaves.length - 1;
    const names = leaf.names;
    leaf.names = [];
    leaf.chunks = 0;
    leaf.dirty = true;
    for (const name of names) {
      const to = this.#leafOf(name);
      to.names.push(name);
      to.chunks += leafChunks(this.#parts.names.byteLength(name));
    }
  }

  sync(io: ObjectIo): Errno | undefined {
    return this.#table === undefined ? this.#syncSmall(io) : this.#syncLarge(io, this.#table);
  }

  #syncSmall(io: ObjectIo): Errno | undefined {
    const { object, set, dentries, names } = this.#parts;
    const size = set.word(object, BLOCK_SIZE);
    const texts: string[] = [];
    const objects: number[] = [];
    const entries: number[] = [];
    for (let row = dentries.first(object); row !== 0; row = dentries.next(row)) {
      texts.push(names.text(dentries.name(row)));
      objects.push(dentries.child(row));
      entries.push(dentries.name(row), dentries.child(row));
    }
    const compressed = microDirectoryLength(io.profile, { size, names: texts, objects, salt: object });
    const words = Uint32Array.from(entries);
    if (io.profile.embedded && compressed <= EMBEDDED_MAX) {
      const record: DirectoryRecord = { kind: "zfs.directory", length: compressed, entries: words, names };
      return io.write(0, { placed: io.store.embed("directory", record, size) });
    }
    const length = io.rounded(compressed, size);
    const record: DirectoryRecord = { kind: "zfs.directory", length, entries: words, names };
    return this.#writeBlock(io, 0, record, size);
  }

  #writeBlock(io: ObjectIo, block: number, record: DirectoryRecord, logicalSize: number): Errno | undefined {
    return io.write(block, {
      kind: "directory",
      level: 0,
      content: Content.record(record),
      logicalSize,
      physicalSize: record.length,
      copies: io.copies("directory"),
    });
  }

  #syncLarge(io: ObjectIo, table: readonly number[]): Errno | undefined {
    const { dentries, object, names } = this.#parts;
    io.tree.raise(this.#leaves.length + 1);
    const leaves = Uint32Array.from(table);
    const head: DirectoryRecord = {
      kind: "zfs.directory",
      length: io.rounded(headLength(io.profile, leaves), LEAF_BYTES),
      entries: new Uint32Array(0),
      names,
      leaves,
    };
    const failed = this.#writeBlock(io, 0, head, LEAF_BYTES);
    if (failed !== undefined) return failed;
    for (const [index, leaf] of this.#leaves.entries()) {
      if (!leaf.dirty) continue;
      const entries = new Uint32Array(leaf.names.length * 2);
      for (const [n, name] of leaf.names.entries()) {
        entries[n * 2] = name;
        entries[n * 2 + 1] = dentries.lookup(object, name);
      }
      const compressed = leafLength(
        io.profile,
        leaf.names.map((name) => names.text(name)),
        object,
      );
      const record: DirectoryRecord = {
        kind: "zfs.directory",
        length: io.rounded(compressed, LEAF_BYTES),
        entries,
        names,
        leaves: Uint32Array.of(leaf.depth),
      };
      const wrong = this.#writeBlock(io, index + 1, record, LEAF_BYTES);
      if (wrong !== undefined) return wrong;
      leaf.dirty = false;
    }
    return undefined;
  }
}
