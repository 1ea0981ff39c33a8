/**
 * Which pieces of a metadata block are logged (fs/xfs/xfs_buf_item.c, xfs_buf_item_log; Linux 6.18): 128 bytes each, so that a block of 4 KiB has a bit
 * for each in one number.
 *
 * A piece that was logged once is logged again with every checkpoint that the block joins, until the block has been written in place.
 */
import { onesIn } from "../../core/bits.ts";
import { BLOCK_SIZE } from "./layout.ts";

/** XFS_BLF_CHUNK, and its power of two. */
const PIECE_BYTES = 128;
const PIECE_BITS = 7;
const PIECES: number = BLOCK_SIZE / PIECE_BYTES;
/** xfs_buf_log_format with the map of a block. */
const FORMAT_BYTES = 28;

/** What of a buffer a checkpoint logs: how many regions, each with a header of its own, and their bytes. */
export interface LoggedSize {
  regions: number;
  bytes: number;
}

/** The pieces that the bytes [from, to) of a block touch. */
export function piecesOf(from: number, to: number): number {
  const first = from >>> PIECE_BITS;
  const last = (to - 1) >>> PIECE_BITS;
  return (0xffffffff >>> (PIECES - 1 - (last - first))) << first;
}

/** Adds a block's log item: its format, and a region for each run of pieces. */
export function measurePieces(into: LoggedSize, pieces: number): void {
  into.regions += 1 + onesIn(pieces & ~(pieces << 1));
  into.bytes += FORMAT_BYTES + onesIn(pieces) * PIECE_BYTES;
}

/** Adds a buffer's log item: its format structure and the pieces that changed, taken as one run. */
export function measureBuffer(into: LoggedSize, changedBytes: number): void {
  into.regions += 2;
  into.bytes += FORMAT_BYTES + Math.ceil(changedBytes / PIECE_BYTES) * PIECE_BYTES;
}
