/**
 * gzip behind one interface, so that a program with a real one can hand it in.
 */
import { crc32 } from "./crc32.ts";
import { gunzip } from "./inflate.ts";

export interface Gzip {
  pack(raw: Uint8Array): Uint8Array;
  /** @throws ArchiveFault E_COMPRESSION */
  unpack(packed: Uint8Array): Uint8Array;
}

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
/** The most that one stored block of deflate holds. */
const STORED_MAX = 65_535;
const TRAILER = 8;

/** gzip files in which nothing is compressed (RFC 1951, stored blocks): any gunzip reads them, and this reads all. */
export const storedGzip: Gzip = {
  pack(raw) {
    const blocks = Math.max(1, Math.ceil(raw.length / STORED_MAX));
    const out = new Uint8Array(HEADER.length + raw.length + blocks * 5 + TRAILER);
    const view = new DataView(out.buffer);
    out.set(HEADER);
    let to = HEADER.length;
    for (let block = 0; block < blocks; block++) {
      const piece = raw.subarray(block * STORED_MAX, (block + 1) * STORED_MAX);
      out[to] = block === blocks - 1 ? 1 : 0;
      view.setUint16(to + 1, piece.length, true);
      view.setUint16(to + 3, ~piece.length & 0xffff, true);
      out.set(piece, to + 5);
      to += 5 + piece.length;
    }
    view.setUint32(to, crc32(raw), true);
    view.setUint32(to + 4, raw.length >>> 0, true);
    return out;
  },
  unpack: (packed) => gunzip(packed).content.toBytes(),
};
