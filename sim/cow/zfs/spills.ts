/**
 * Spill blocks of an object set (module/zfs/sa.c, sa_modify_attrs; dnode_sync.c, dn_spill): written with the group for objects whose attributes have
 * changed and do not fit their bonus, freed when they change again, or their object ends.
 */
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { bonusBytesOf, layoutOf, packSpilled, placeBody, type Spilled, spilledLayout } from "./attributes.ts";
import { allocatedSize, type BlockPointer } from "./block-pointer.ts";
import { EMBEDDED_MAX } from "./compress.ts";
import type { DnodeBlock } from "./dnodes.ts";
import { spillLength } from "./encode.ts";
import type { BlockIo } from "./pending.ts";
import { DNODES_PER_BLOCK, type DnodeBody, EXTRA_SLOTS, MODE, type SpillRecord, USED, WORDS } from "./records.ts";
import type { NewBlock } from "./store.ts";

export class Spills {
  readonly #io: BlockIo;
  readonly #kill: (pointer: BlockPointer) => void;
  /** Objects whose bodies have changed, and the spill blocks that they have on the devices. */
  readonly #changed = new Map<number, BlockPointer | undefined>();

  constructor(io: BlockIo, kill: (pointer: BlockPointer) => void) {
    this.#io = io;
    this.#kill = kill;
  }

  /** A body is about to be replaced. */
  replaces(object: number, body: DnodeBody | undefined): void {
    // Before system attributes a bonus holds what there is (zpl 4).
    if (this.#io.profile.systemAttributes && !this.#changed.has(object)) this.#changed.set(object, body?.spill);
  }

  /** An object ends. @returns its spill block on the devices. */
  end(object: number, body: DnodeBody | undefined): BlockPointer | undefined {
    const pointer = this.#changed.has(object) ? this.#changed.get(object) : body?.spill;
    this.#changed.delete(object);
    return pointer;
  }

  /** A body with what lies in its spill block. @returns EIO. */
  whole(body: DnodeBody | undefined): DnodeBody | undefined | Errno {
    if (body?.spill === undefined) return body;
    const record = this.#io.store.readRecord(body.spill);
    if (isErrno(record)) return record;
    const { spill: _read, ...rest } = body;
    const { kind: _kind, length: _length, bytes: _bytes, ...spilled } = record as SpillRecord;
    return { ...rest, ...spilled };
  }

  /** Writes what of changed bodies their bonuses have no room for. @param blockOf - the dnodes of an object, to be changed */
  sync(
    blockOf: (object: number) => DnodeBlock,
    write: (block: NewBlock) => BlockPointer | Errno,
    use: (layout: string) => void,
  ): Errno | undefined {
    for (const [object, before] of [...this.#changed].sort(([one], [other]) => one - other)) {
      const block = blockOf(object);
      const at = object % DNODES_PER_BLOCK;
      const mode = block.words[at * WORDS + MODE] as number;
      const bonusBytes = bonusBytesOf(block.words[at * WORDS + EXTRA_SLOTS] as number);
      const { bonus, spilled } = placeBody(mode, block.bodies[at] ?? {}, bonusBytes);
      use(layoutOf(mode, bonus));
      if (spilled !== undefined) use(spilledLayout(spilled));
      const spill = spilled === undefined ? undefined : this.#write(spilled, before, write);
      if (isErrno(spill)) return spill;
      if (before !== undefined) this.#kill(before);
      block.bodies[at] = spill === undefined ? bonus : { ...bonus, spill };
      const used = (spill === undefined ? 0 : allocatedSize(spill)) - (before === undefined ? 0 : allocatedSize(before));
      block.words[at * WORDS + USED] = (block.words[at * WORDS + USED] as number) + used;
    }
    this.#changed.clear();
    return undefined;
  }

  /** A spill block never becomes smaller, and what was in it before stays behind what is now (recorded on OpenZFS 2.1.11; sa_resize_spill). */
  #write(
    { bytes: needed, ...rest }: Spilled & { readonly bytes: number },
    before: BlockPointer | undefined,
    write: (block: NewBlock) => BlockPointer | Errno,
  ): BlockPointer | Errno {
    const { profile, store, rounded, copies } = this.#io;
    const known = before === undefined ? undefined : store.readRecord(before);
    if (isErrno(known)) return known;
    const old = (known as SpillRecord | undefined)?.bytes ?? new Uint8Array(0);
    const bytes = new Uint8Array(Math.max(needed, old.length));
    bytes.set(old);
    packSpilled(rest, bytes);
    const compressed = spillLength(profile, bytes);
    const isEmbedded = profile.embedded && compressed <= EMBEDDED_MAX;
    const length = isEmbedded ? compressed : rounded(compressed, bytes.length);
    const record: SpillRecord = { kind: "zfs.spill", length, bytes, ...rest };
    if (isEmbedded) return store.embed("system", record, bytes.length);
    return write({
      kind: "system",
      level: 0,
      content: Content.record(record),
      logicalSize: bytes.length,
      physicalSize: length,
      copies: copies("system"),
    });
  }
}
