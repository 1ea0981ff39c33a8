/**
 * Opens gzip with the DecompressionStream of browsers, which Node has too (WHATWG Compression), and the other kinds without it.
 *
 * Limit: a file of several gzip members is refused, as the standard has it; Node's zlib, and Docker, read them on.
 */
import type { Content } from "../../sim/core/content.ts";
import { type Decompress, Unpacked } from "./compression.ts";
import { ArchiveFault } from "./fault.ts";
import { openCompressed } from "./open-compressed.ts";

/** Opens compressed data. */
export const streamDecompress: Decompress = async (content, kind) => {
  if (kind !== "gzip") return openCompressed(content, kind);
  const unpacked = new Unpacked(content.length);
  const stream = new DecompressionStream("gzip");
  const written = writeAll(stream.writable.getWriter(), content);
  // A fault shows at both ends of the stream: it is told where the pieces come out.
  written.catch(() => undefined);
  const reader = stream.readable.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) unpacked.add(next.value as Uint8Array);
    await written;
  } catch (error) {
    if (error instanceof ArchiveFault) {
      await reader.cancel().catch(() => undefined);
      throw error;
    }
    throw new ArchiveFault("E_COMPRESSION", `the gzip data are damaged: ${error instanceof Error ? error.message : ""}`);
  }
  return unpacked.content;
};

/** Each piece in an array of its own: the stream may still read one when the next is asked for. */
async function writeAll(writer: WritableStreamDefaultWriter<Uint8Array>, content: Content): Promise<void> {
  for (const piece of content.chunks()) await writer.write(piece.slice());
  await writer.close();
}
