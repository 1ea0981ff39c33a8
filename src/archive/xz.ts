/**
 * Opens xz (the .xz specification 1.1): streams of blocks with LZMA2, as xz makes them unless it is told otherwise.
 *
 * Limits: no other filters (the ones for machine code, delta); of the checksums of content CRC-32 is looked at, the others are not: a layer is held to its
 * digest anyhow.
 */
import { Unpacked } from "./compression.ts";
import { crc32 } from "./crc32.ts";
import { ArchiveFault } from "./fault.ts";
import { Lzma, propertiesOf } from "./lzma.ts";
import { Sink } from "./sink.ts";

const STREAM_HEADER = 12;
const FOOTER_MAGIC = 0x5a59;
const LZMA2 = 0x21;
/** The largest window that is held. */
const WINDOW_MAX = 2 ** 27;
/** Bytes of a block's check, by the type in the stream's flags. */
const CHECK_BYTES: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CRC32_CHECK = 1;

function damaged(what: string): ArchiveFault {
  return new ArchiveFault("E_COMPRESSION", `the xz data are damaged: ${what}`);
}

/** A number of seven bits a byte. @returns the number, and where the next thing begins */
function varint(raw: Uint8Array, start: number): readonly [number, number] {
  let value = 0;
  for (let at = start, weight = 1; at < start + 9; at++, weight *= 128) {
    const byte = raw[at];
    if (byte === undefined) break;
    value += (byte & 127) * weight;
    if (byte < 128) return [value, at + 1];
  }
  throw damaged("a number without an end");
}

/** The size of the window that a block's header asks for. @returns it, and where the data begin */
function readBlockHeader(raw: Uint8Array, start: number): readonly [number, number] {
  const size = 4 * ((raw[start] as number) + 1);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (start + size > raw.length) throw damaged("they end too early");
  if (crc32(raw.subarray(start, start + size - 4)) !== view.getUint32(start + size - 4, true)) throw damaged("a wrong checksum");
  const flags = raw[start + 1] as number;
  let at = start + 2;
  if ((flags & 0x40) !== 0) at = varint(raw, at)[1];
  if ((flags & 0x80) !== 0) at = varint(raw, at)[1];
  const [filter, properties] = varint(raw, at);
  const [length, dictionary] = varint(raw, properties);
  if ((flags & 3) !== 0 || filter !== LZMA2 || length !== 1)
    throw new ArchiveFault("E_COMPRESSION", "the xz data went through another filter than LZMA2");
  const bits = raw[dictionary] as number;
  const window = bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (window > WINDOW_MAX) throw new ArchiveFault("E_COMPRESSION", `the xz data need a window of more than ${WINDOW_MAX} bytes`);
  return [window, start + size];
}

/** The chunks of LZMA2. @returns where they end */
function unpackChunks(raw: Uint8Array, start: number, sink: Sink): number {
  let lzma: Lzma | undefined;
  for (let at = start; ; ) {
    const control = raw[at];
    if (control === undefined) throw damaged("they end too early");
    if (control === 0) return at + 1;
    const low = (raw[at + 1] ?? 0) * 256 + (raw[at + 2] ?? 0) + 1;
    if (control < 0x80) {
      if (control > 2 || at + 3 + low > raw.length) throw damaged("a chunk of no known kind");
      sink.putAll(raw.subarray(at + 3, at + 3 + low));
      at += 3 + low;
      continue;
    }
    const packed = (raw[at + 3] ?? 0) * 256 + (raw[at + 4] ?? 0) + 1;
    const reset = (control >> 5) & 3;
    const from = at + (reset >= 2 ? 6 : 5);
    if (reset >= 2) lzma = new Lzma(propertiesOf(raw[at + 5] ?? 0xff));
    else if (reset === 1 && lzma !== undefined) lzma = new Lzma(lzma.properties);
    if (lzma === undefined || from + packed > raw.length) throw damaged("a chunk without a beginning or an end");
    lzma.decode(sink, { raw, from, end: from + packed, size: (control & 31) * 65_536 + low });
    at = from + packed;
  }
}

/** A block. @returns where it ends */
function unpackBlock(raw: Uint8Array, start: number, check: number, unpacked: Unpacked): number {
  const [window, data] = readBlockHeader(raw, start);
  let sum = 0;
  const sink = new Sink(unpacked, window, (piece) => {
    sum = crc32(piece, sum);
  });
  const end = unpackChunks(raw, data, sink);
  sink.end();
  const padded = start + Math.ceil((end - start) / 4) * 4;
  const size = CHECK_BYTES[check] as number;
  if (padded + size > raw.length) throw damaged("they end too early");
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (check === CRC32_CHECK && view.getUint32(padded, true) !== sum) throw damaged("a wrong checksum");
  return padded + size;
}

/** Where an index and the stream's footer behind it end. */
function afterIndex(raw: Uint8Array, start: number): number {
  let [records, at] = varint(raw, start + 1);
  for (; records > 0; records--) at = varint(raw, varint(raw, at)[1])[1];
  const end = start + Math.ceil((at - start) / 4) * 4 + 4 + STREAM_HEADER;
  if (end > raw.length || (raw[end - 2] as number) + 256 * (raw[end - 1] as number) !== FOOTER_MAGIC)
    throw damaged("a stream without an end");
  return end;
}

/** Opens xz data. @throws ArchiveFault */
export function unpackXz(raw: Uint8Array): Unpacked {
  const unpacked = new Unpacked(raw.length);
  for (let at = 0; at < raw.length; ) {
    const check = (raw[at + 7] ?? 0) & 15;
    if (raw[at] !== 0xfd || raw[at + 1] !== 0x37) throw damaged("no stream where one should be");
    at += STREAM_HEADER;
    while (raw[at] !== 0) at = unpackBlock(raw, at, check, unpacked);
    at = afterIndex(raw, at);
    while (raw[at] === 0) at += 4;
  }
  return unpacked;
}
