/**
 * gzip behind one interface, so that a program with a real one can hand it in.
 */
import { ArchiveFault } from "./fault.ts";

export interface Gzip {
  pack(raw: Uint8Array): Uint8Array;
  /** @throws ArchiveFault E_COMPRESSION */
  unpack(packed: Uint8Array): Uint8Array;
}

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
/** The most that one stored block of deflate holds. */
const STORED_MAX = 65_535;
const TRAILER = 8;

/** What a byte does to the remainder (RFC 1952, section 8). */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320);
  return crc;
});

function crc32(raw: Uint8Array): number {
  let crc = -1;
  for (const byte of raw) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 255] as number);
  return ~crc >>> 0;
}

/** gzip files in which nothing is compressed (RFC 1951, stored blocks): any gunzip reads them; this reads no others. */
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
  unpack(packed) {
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    const parts: Uint8Array[] = [];
    let at = HEADER.length;
    for (let last = false; !last; ) {
      if (at + 5 > packed.length || (view.getUint8(at) & 6) !== 0)
        throw new ArchiveFault("E_COMPRESSION", "the gzip data are compressed, which only a real gzip can open");
      last = (view.getUint8(at) & 1) !== 0;
      const length = view.getUint16(at + 1, true);
      parts.push(packed.subarray(at + 5, at + 5 + length));
      at += 5 + length;
    }
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let to = 0;
    for (const part of parts) {
      out.set(part, to);
      to += part.length;
    }
    if (at + TRAILER > packed.length || view.getUint32(at, true) !== crc32(out))
      throw new ArchiveFault("E_COMPRESSION", "the gzip data are damaged");
    return out;
  },
};
