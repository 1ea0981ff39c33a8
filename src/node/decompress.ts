/**
 * Opens compressed data, with this machine's zlib where that knows them.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { type Compression, type Decompress, Unpacked } from "../archive/compression.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { openCompressed } from "../archive/open-compressed.ts";

/** Large pieces: a layer has many. */
const CHUNK = 2 ** 18;

type Opener = (options: { readonly chunkSize: number }) => NodeJS.ReadWriteStream;

function openerOf(kind: Compression): Opener | undefined {
  if (kind === "gzip") return zlib.createGunzip;
  // Node's zlib has zstd from 22.15 on.
  const zstd: unknown = Reflect.get(zlib, "createZstdDecompress");
  return kind === "zstd" && typeof zstd === "function" ? (zstd as Opener) : undefined;
}

/** Opens compressed data: with zlib where this Node's has the kind, which is faster. */
export const nodeDecompress: Decompress = async (content, kind) => {
  const opener = openerOf(kind);
  if (opener === undefined) return openCompressed(content, kind);
  const unpacked = new Unpacked(content.length);
  const source = Readable.from(copies(content.chunks()));
  let fault: ArchiveFault | undefined;
  try {
    await pipeline(source, opener({ chunkSize: CHUNK }), async (pieces: AsyncIterable<unknown>) => {
      try {
        for await (const piece of pieces) unpacked.add(piece as Uint8Array);
      } catch (error) {
        // The pipeline may tell the end of the stream that follows instead.
        if (error instanceof ArchiveFault) fault = error;
        throw error;
      }
    });
  } catch (error) {
    if (fault !== undefined) throw fault;
    throw new ArchiveFault("E_COMPRESSION", `the ${kind} data are damaged: ${error instanceof Error ? error.message : ""}`);
  }
  return unpacked.content;
};

/** Each piece in an array of its own: the stream may still read one when the next is asked for. */
function* copies(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}
