/**
 * Block pointers: where a block lies, how large it is, and in which transaction group it was born (include/sys/spa.h, blkptr_t).
 *
 * Interface: immutable. A hole is no pointer at all (undefined). A pointer's birth is the whole of ZFS's sharing: a tree that was
 * snapshot at txg t shares every block born at or before t, and nothing needs a reference count.
 */
import type { BlockRecord } from "../../core/block-record.ts";

/** One place of a block: the top-level device, the byte within its space, and the bytes allocated there. */
export interface Dva {
  readonly vdev: number;
  readonly offset: number;
  /** Of a gang: its header's, and those of all its parts. */
  readonly size: number;
  /** Present: what lies there is a gang header, and the block in the parts that it points to. */
  readonly gang?: Gang;
}

/** A block in pieces, for want of a place that is long enough (zio_gbh_phys_t). */
export interface Gang {
  /** Bytes allocated to the header. */
  readonly headerSize: number;
  /** Which of the block's bytes lie where. A gang header has one copy more than its block: that one tells of the others' parts and has none. */
  readonly parts: readonly { readonly dva: Dva; readonly from: number; readonly length: number }[];
}

/** The plain places of a place: itself, or a gang's header and all its parts. */
export function* placesOf(dva: Dva): Generator<Dva> {
  const { gang } = dva;
  if (gang === undefined) {
    yield dva;
    return;
  }
  yield headerOf(dva, gang);
  for (const part of gang.parts) yield* placesOf(part.dva);
}

/** Where a gang's header lies. */
export function headerOf({ vdev, offset }: Dva, { headerSize: size }: Gang): Dva {
  return { vdev, offset, size };
}

/** What a block is, as far as sizes and copies ask for it. */
export type BlockKind = "data" | "indirect" | "dnodes" | "objset" | "directory" | "system" | "mos";

export interface BlockPointer {
  /** One for each copy; none for a block that lies in its pointer. */
  readonly dvas: readonly Dva[];
  /** Bytes before compression. */
  readonly logicalSize: number;
  /** Bytes after it. */
  readonly physicalSize: number;
  /** The transaction group in which it was written. */
  readonly birth: number;
  readonly level: number;
  readonly kind: BlockKind;
  /** What a checksum would be made of: differs from block to block; 0 for a block of zeros. */
  readonly stamp: number;
  /** What an embedded pointer holds. */
  readonly embedded?: BlockRecord;
  /** The key in the table of deduplicated blocks. */
  readonly dedup?: string;
  /** Of a deduplicated block: the group in which it was allocated, for whoever found it there first (blk_phys_birth). */
  readonly physicalBirth?: number;
}

/** The transaction group in which the block's places were taken (BP_PHYSICAL_BIRTH). */
export function physicalBirth(pointer: BlockPointer): number {
  return pointer.physicalBirth ?? pointer.birth;
}

/** Bytes on all devices, all copies (bp_get_dsize). */
export function allocatedSize(pointer: BlockPointer): number {
  let sum = 0;
  for (const dva of pointer.dvas) sum += dva.size;
  return sum;
}

/** What its dataset counts as its compressed bytes: one copy, and nothing for a block that lies in its pointer (BP_GET_PSIZE). */
export function countedPhysicalSize(pointer: BlockPointer): number {
  return pointer.dvas.length === 0 ? 0 : pointer.physicalSize;
}

/** What `logicalused` counts of it: data before compression, metadata as it is stored (BP_GET_UCSIZE). */
export function countedLogicalSize(pointer: BlockPointer): number {
  if (pointer.dvas.length === 0) return pointer.kind === "data" ? pointer.logicalSize : 0;
  return pointer.kind === "data" ? pointer.logicalSize : pointer.physicalSize;
}
