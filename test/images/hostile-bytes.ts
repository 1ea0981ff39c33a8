/** Bytes made to hurt: headers, sizes, PAX records, and much out of little. */
import { gzipSync } from "node:zlib";
import { Content } from "../../sim/core/content.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { archiveOf, BASE, type HostileCase, layerOf, type Parts } from "./hostile-archive.ts";

/** A layer whose bytes are changed after they were written. */
function bytesCase(name: string, code: string | undefined, change: (raw: Uint8Array) => Uint8Array): HostileCase {
  const archive = (): Content => {
    const raw = layerOf([
      { name: "first", body: "1" },
      { name: "second", body: "2" },
    ]).toBytes();
    return archiveOf({ layers: [Content.literal(change(raw))] });
  };
  return { name, code, archive };
}

/** Writes into a header block, and mends its checksum. */
function patched(
  raw: Uint8Array,
  at: number,
  field: { readonly at: number; readonly text: string | readonly number[] },
): Uint8Array {
  const bytes = typeof field.text === "string" ? new TextEncoder().encode(field.text) : Uint8Array.from(field.text);
  raw.set(bytes, at + field.at);
  const block = raw.subarray(at, at + 512);
  raw.set(new TextEncoder().encode(`${tar.checksumOf(block).unsigned.toString(8).padStart(6, "0")}\0 `), at + 148);
  return raw;
}

const SIZE_AT = 124;

function bytesCases(): HostileCase[] {
  const base256 = (...tail: readonly number[]): number[] => [0x80, ...new Array<number>(11 - tail.length).fill(0), ...tail];
  return [
    ...Array.from({ length: 5 }, (_, blocks) =>
      bytesCase(`cut after ${blocks} blocks`, "E_TAR_TRUNCATED", (raw) => raw.slice(0, blocks * 512)),
    ),
    ...[100, 511, 513, 600, 1100, 1535].map((length) =>
      bytesCase(`cut after ${length} bytes`, "E_TAR_TRUNCATED", (raw) => raw.slice(0, length)),
    ),
    bytesCase("a wrong checksum", "E_TAR_CHECKSUM", (raw) => raw.fill(0x31, 148, 154)),
    bytesCase("noise", "E_TAR_HEADER", () => Content.pattern(9, 4096).toBytes()),
    bytesCase("a size of -1", "E_TAR_HEADER", (raw) => patched(raw, 0, { at: SIZE_AT, text: new Array<number>(12).fill(0xff) })),
    bytesCase("a size of 2^63", "E_TAR_HEADER", (raw) =>
      patched(raw, 0, { at: SIZE_AT, text: base256(0x80, 0, 0, 0, 0, 0, 0, 0) }),
    ),
    bytesCase("a size of 2^40", "E_LIMIT", (raw) => patched(raw, 0, { at: SIZE_AT, text: base256(1, 0, 0, 0, 0, 0) })),
    bytesCase("a size of 8 GiB", "E_TAR_TRUNCATED", (raw) => patched(raw, 0, { at: SIZE_AT, text: "77777777777\0" })),
    bytesCase("a size in words", "E_TAR_HEADER", (raw) => patched(raw, 0, { at: SIZE_AT, text: "0000000008x\0" })),
    bytesCase("a size with spaces is a size", undefined, (raw) => patched(raw, 0, { at: SIZE_AT, text: "       1   \0" })),
    bytesCase("a header behind one block of zeros", "E_TAR_TRAILING", (raw) =>
      Uint8Array.from([...raw.slice(0, 2048), ...new Uint8Array(512), ...raw.slice(0, 2048)]),
    ),
    bytesCase("an archive behind the end", "E_TAR_TRAILING", (raw) => Uint8Array.from([...raw, ...raw])),
    bytesCase("a byte behind the end", "E_TAR_TRAILING", (raw) => Uint8Array.from([...raw, ...new Uint8Array(511), 7])),
    bytesCase("zeros behind the end are padding", undefined, (raw) => Uint8Array.from([...raw, ...new Uint8Array(9000)])),
    bytesCase("no second block of zeros", undefined, (raw) => raw.slice(0, raw.length - 512)),
    bytesCase("an empty layer file", "E_TAR_TRUNCATED", () => new Uint8Array(0)),
  ];
}

/** PAX records as given, before a file. */
function paxCase(name: string, code: string | undefined, records: string, flag = "x"): HostileCase {
  const archive = (): Content => {
    const writer = new TarWriter();
    writer.add(tarHeader({ name: "pax", typeflag: flag, size: new TextEncoder().encode(records).length }), Content.text(records));
    writer.add(tarHeader({ name: "file", size: 4 }), Content.text("data"));
    return archiveOf({ layers: [writer.end()] });
  };
  return { name: `PAX: ${name}`, code, archive };
}

function record(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length += 1;
  return `${length}${body}`;
}

function paxCases(): HostileCase[] {
  return [
    paxCase("a length too short", "E_TAR_PAX", "5 path=abc\n"),
    paxCase("a length too long", "E_TAR_PAX", "99 path=abc\n"),
    paxCase("length 0", "E_TAR_PAX", "0 path=abc\n"),
    paxCase("a negative length", "E_TAR_PAX", "-12 path=abc\n"),
    paxCase("a length of 30 digits", "E_TAR_PAX", `${"9".repeat(30)} path=abc\n`),
    paxCase("no newline", "E_TAR_PAX", "12 path=abcd"),
    paxCase("no equals sign", "E_TAR_PAX", "11 pathabc\n"),
    paxCase("no key", "E_TAR_PAX", "6 =ab\n"),
    paxCase("two sizes", "E_TAR_PAX", record("size", "4") + record("size", "2048")),
    paxCase("two paths", "E_TAR_PAX", record("path", "a") + record("path", "b")),
    paxCase("a size that the header does not have", "E_TAR_TRUNCATED", record("size", "999999")),
    paxCase("a size of -1", "E_TAR_HEADER", record("size", "-1")),
    paxCase("a size of 2^60", "E_TAR_PAX", record("size", String(2n ** 60n))),
    paxCase("a size in words", "E_TAR_PAX", record("size", "1e3")),
    paxCase("a path with a NUL", "E_TAR_PAX", record("path", "a\0b")),
    paxCase("a path that leads out", "E_LAYER_ESCAPE", record("path", "../out")),
    paxCase("a time in words", "E_TAR_PAX", record("mtime", "yesterday")),
    paxCase("a time 300,000 years from now", undefined, record("mtime", "9999999999999")),
    paxCase("a uid beyond users", "E_LAYER_OWNER", record("uid", "4294967296")),
    paxCase("a sparse map", "E_TAR_SPARSE", record("GNU.sparse.map", "0,1")),
    paxCase("a sparse file of version 1.0", "E_TAR_SPARSE", record("GNU.sparse.major", "1") + record("GNU.sparse.name", "x")),
    paxCase("2 MiB of records", "E_LIMIT", record("comment", "c".repeat(2 ** 21))),
    paxCase("an unknown key is a comment", undefined, record("vendor.key", "x")),
    paxCase("a global header with a size", "E_TAR_PAX", record("size", "4096"), "g"),
    paxCase("a global header with a path", "E_TAR_PAX", record("path", "x"), "g"),
    paxCase("a global comment", undefined, record("comment", "0".repeat(40)), "g"),
    paxCase("a GNU long name that leads out", "E_LAYER_ESCAPE", "../../out\0", "L"),
    paxCase("a GNU long name of 2 MiB", "E_LIMIT", "n".repeat(2 ** 21), "L"),
    paxCase("an empty GNU long name", "E_TAR_HEADER", "\0", "L"),
  ];
}

function bombs(): HostileCase[] {
  let packed: Uint8Array | undefined;
  // Packed once: every case is loaded in several ways.
  const zeros = (): Uint8Array => (packed ??= gzipSync(new Uint8Array(2 ** 26)));
  const archiveWith = (layer: () => Content, config?: Parts["config"]) => (): Content =>
    archiveOf({ layers: [layer()], ...(config === undefined ? {} : { config }) });
  return [
    { name: "64 MiB of zeros in 64 KiB", code: "E_LIMIT", archive: archiveWith(() => Content.literal(zeros())) },
    { name: "gzip in gzip", code: "E_FORMAT", archive: () => Content.literal(gzipSync(zeros())) },
    {
      name: "gzip cut short",
      code: "E_COMPRESSION",
      archive: archiveWith(() => Content.literal(gzipSync(Content.pattern(1, 50_000).toBytes()).subarray(0, 20_000))),
    },
    {
      name: "gzip with a changed byte",
      code: "E_COMPRESSION",
      archive: archiveWith(() => {
        const raw = new Uint8Array(gzipSync(Content.pattern(1, 50_000).toBytes()));
        raw[30_000] = (raw[30_000] as number) ^ 0xff;
        return Content.literal(raw);
      }),
    },
    {
      name: "xz",
      code: "E_COMPRESSION",
      archive: archiveWith(() => Content.literal(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3))),
    },
    { name: "bzip2", code: "E_COMPRESSION", archive: archiveWith(() => Content.text("BZh91AY&SY")) },
    {
      name: "a gzip layer whose digest is that of its packed bytes",
      code: "E_DIGEST_MISMATCH",
      archive: archiveWith(() => Content.literal(gzipSync(layerOf(BASE).toBytes()))),
    },
    { name: "no archive at all", code: "E_TAR_TRUNCATED", archive: () => Content.text("hello") },
    { name: "nothing", code: "E_TAR_TRUNCATED", archive: () => Content.empty },
  ];
}

/** Cases of bytes. */
export function byteCases(): readonly HostileCase[] {
  return [...bytesCases(), ...paxCases(), ...bombs()];
}
