/**
 * A block's content at one of its places, which may be a gang: a header and parts (module/zfs/zio.c: zio_gang_tree_assemble, zio_write_gang_block).
 */
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { type Dva, type Gang, headerOf } from "./block-pointer.ts";
import { GANG_HEADER_BYTES } from "./space.ts";
import { readAt, type TopLevel, type WantedBlock, writeAt } from "./vdev.ts";

/** What lies in a gang's header; which blocks it points to is in the pointer here. */
interface GangRecord extends BlockRecord {
  readonly kind: "zfs.gang";
}

const HEADER: GangRecord = { kind: "zfs.gang", length: GANG_HEADER_BYTES };

/** A piece of a block as it lies at a plain place. */
export interface Piece {
  readonly dva: Dva;
  /** The byte of the block that is its first; -1: it is a gang's header. */
  readonly from: number;
  readonly length: number;
}

/** The pieces of a block of `length` bytes at one of its places. */
export function piecesOf(dva: Dva, length: number, from = 0): Piece[] {
  const { gang } = dva;
  if (gang === undefined) return [{ dva, from, length }];
  const header = { dva: headerOf(dva, gang), from: -1, length: GANG_HEADER_BYTES };
  return [header, ...gang.parts.flatMap((part) => piecesOf(part.dva, part.length, from + part.from))];
}

/** What a piece of a block is. @param content - the block's */
export function pieceContent({ from, length }: Piece, content: Content): Content {
  return from < 0 ? Content.record(HEADER) : content.slice(from, from + length);
}

/** Writes a block to one of its places, in a transaction group. */
export function writePlace(tops: readonly TopLevel[], dva: Dva, content: Content, group: number): Errno | undefined {
  if (dva.gang === undefined) return writeAt(tops, dva, content, group);
  for (const piece of piecesOf(dva, content.length)) {
    const failed = writeAt(tops, piece.dva, pieceContent(piece, content), group);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** A block that is wanted from whichever of its places gives it. */
type WantedAnywhere = Omit<WantedBlock, "dva">;

/** Reads a block from the first of its places where it is whole. @returns EIO when it is so nowhere. */
export function readBlock(tops: readonly TopLevel[], dvas: readonly Dva[], wanted: WantedAnywhere): Content | Errno {
  const gang = dvas[0]?.gang;
  if (gang !== undefined) return readGang(tops, dvas, { ...wanted, parts: gang.parts });
  const { birth, length, good } = wanted;
  for (const dva of dvas) {
    const found = readAt(tops, { dva, birth, length, good });
    if (!isErrno(found)) return found;
  }
  return EIO;
}

/** One whole header tells where all copies of the parts are (zio_read_gang_tree). */
function readGang(
  tops: readonly TopLevel[],
  dvas: readonly Dva[],
  wanted: WantedAnywhere & Pick<Gang, "parts">,
): Content | Errno {
  const { birth } = wanted;
  const isHeader = (content: Content): boolean => content.wholeRecord()?.kind === HEADER.kind;
  const headers = dvas.flatMap((dva) => (dva.gang === undefined ? [] : [headerOf(dva, dva.gang)]));
  const header = readBlock(tops, headers, { birth, length: GANG_HEADER_BYTES, good: isHeader });
  if (isErrno(header)) return header;
  const contents: Content[] = [];
  for (const { from, length } of wanted.parts) {
    const copies = dvas.flatMap(({ gang }) => gang?.parts.find((part) => part.from === from)?.dva ?? []);
    const found = readBlock(tops, copies, { birth, length, good: () => true });
    if (isErrno(found)) return found;
    contents.push(found);
  }
  const content = Content.concat(contents);
  return wanted.good(content) ? content : EIO;
}
