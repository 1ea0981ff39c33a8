/**
 * Archives and configurations made to hurt: a generator of the classes of spec/reliability.md. Each case is a layer, an archive or a
 * configuration that is right but for one thing.
 */
import { gzipSync } from "node:zlib";
import { Content } from "../../sim/core/content.ts";
import { digestOf, digestOfContent } from "../../src/archive/digest.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { nodeHasher } from "../../src/node/digest.ts";

export interface HostileCase {
  readonly name: string;
  /** The archive of `docker save`, or whatever is given in its place. */
  readonly archive: () => Content;
  /** The code in mode "strict"; undefined: taken, and contained. */
  readonly code: string | undefined;
  /** The code where a driver unpacks into a folder of changes, which does not show what is below; default: `code`. */
  readonly codeNative?: string;
}

type Entry = Partial<tar.TarHeader> & { readonly name: string; readonly body?: string | Content };

function bodyOf({ body }: Entry): Content {
  return body === undefined ? Content.empty : typeof body === "string" ? Content.text(body) : body;
}

/** The tar of entries. */
export function layerOf(entries: readonly Entry[]): Content {
  const writer = new TarWriter();
  for (const entry of entries) {
    const { body: _, ...header } = entry;
    writer.add(tarHeader({ ...header, size: bodyOf(entry).length }), bodyOf(entry));
  }
  return writer.end();
}

interface Parts {
  readonly layers: readonly Content[];
  readonly config?: (diffIds: readonly string[]) => string;
  readonly configName?: string;
  readonly manifest?: (config: string, layers: readonly string[]) => string;
  readonly more?: readonly Entry[];
}

function defaultConfig(diffIds: readonly string[]): string {
  return JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: "2020-01-01T00:00:00Z",
    rootfs: { type: "layers", diff_ids: diffIds },
  });
}

/** An archive of `docker save` around layers. */
function archiveOf(parts: Parts): Content {
  const config = (parts.config ?? defaultConfig)(parts.layers.map((layer) => digestOfContent(layer, nodeHasher)));
  const name = parts.configName ?? `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
  const paths = parts.layers.map((_, index) => `${index}/layer.tar`);
  const manifest = parts.manifest?.(name, paths) ?? JSON.stringify([{ Config: name, RepoTags: ["hostile:1"], Layers: paths }]);
  return layerOf([
    ...parts.layers.map((body, index) => ({ name: `${index}/layer.tar`, body })),
    { name, body: config },
    { name: "manifest.json", body: manifest },
    ...(parts.more ?? []),
  ]);
}

const BASE: readonly Entry[] = [
  { name: "etc/" },
  { name: "etc/passwd", body: "root" },
  { name: "dir/" },
  { name: "dir/file", body: "content" },
];

/** A capability of revision 2 that permits nothing (struct vfs_cap_data). */
const CAPABILITY = Uint8Array.of(1, 0, 0, 2, ...new Uint8Array(16));

/** A case of a bad entry in a second layer, over an honest one. */
function entryCase(name: string, entries: readonly Entry[], code: string | undefined, codeNative?: string): HostileCase {
  const archive = (): Content => archiveOf({ layers: [layerOf(BASE), layerOf(entries)] });
  return codeNative === undefined ? { name, code, archive } : { name, code, codeNative, archive };
}

function names(): HostileCase[] {
  const escapes = [
    "../x",
    "a/../../x",
    "/etc/x",
    "//x",
    "./../x",
    "a\\..\\x",
    "..\\x",
    "C:x",
    "c:\\x",
    "etc/..",
    "..",
    "../../../../etc/passwd",
    "etc/../../etc/passwd",
  ];
  return [
    ...escapes.map((name) => entryCase(`name ${name}`, [{ name, typeflag: tar.REGULAR, body: "x" }], "E_LAYER_ESCAPE")),
    ...escapes
      .slice(0, 6)
      .map((name) => entryCase(`folder ${name}`, [{ name: `${name}/`, typeflag: tar.DIRECTORY }], "E_LAYER_ESCAPE")),
    entryCase("a file in the place of the root", [{ name: ".", typeflag: tar.REGULAR, body: "x" }], "E_LAYER_ESCAPE"),
    entryCase("a link in the place of the root", [{ name: "./", typeflag: tar.SYMLINK, linkname: "/" }], "E_LAYER_ESCAPE"),
    entryCase("a whiteout above the root", [{ name: "../.wh.etc" }], "E_LAYER_ESCAPE"),
    entryCase("a name of 256 bytes", [{ name: "n".repeat(256) }], "E_LAYER_NAME"),
    entryCase("a name of 255 bytes is a name", [{ name: "n".repeat(255) }], undefined),
    entryCase("a path of 4200 bytes", [{ name: `${"d/".repeat(2100)}x` }], "E_LIMIT"),
    entryCase(
      "a path of 4099 bytes in few levels",
      [{ name: Array.from({ length: 20 }, () => "p".repeat(204)).join("/") }],
      "E_LAYER_NAME",
    ),
    entryCase("1100 levels", [{ name: `${"d/".repeat(1100)}x` }], "E_LIMIT"),
    entryCase("a name of other case", [{ name: "ETC/" }, { name: "ETC/passwd", body: "x" }], undefined),
    entryCase(
      "é composed and decomposed",
      [
        { name: "\u00e9", body: "1" },
        { name: "e\u0301", body: "2" },
      ],
      undefined,
    ),
    entryCase(
      "bidirectional marks and markup",
      [{ name: "\u202egnp.exe", body: "1" }, { name: '"><script>alert(1)<' }],
      undefined,
    ),
    entryCase("escapes of terminals", [{ name: "\u001b]52;c;aGk=\u0007" }], undefined),
    entryCase("bytes that are no text", [{ name: tar.nameText(Uint8Array.of(0xff, 0xfe, 0x41)), body: "1" }], undefined),
    entryCase(
      "__proto__ and constructor",
      [{ name: "__proto__/" }, { name: "__proto__/polluted", body: "x" }, { name: "constructor", body: "x" }],
      undefined,
    ),
    entryCase(
      "the same name twice",
      [
        { name: "twice", body: "1" },
        { name: "twice", body: "2" },
      ],
      "E_TAR_DUPLICATE",
    ),
    entryCase(
      "the same name twice, spelled otherwise",
      [
        { name: "twice", body: "1" },
        { name: "./twice", body: "2" },
      ],
      "E_TAR_DUPLICATE",
    ),
    entryCase("a backslash is no slash here", [{ name: "system-systemd\\x2dfsck.slice", body: "x" }], undefined),
  ];
}

function links(): HostileCase[] {
  const targets = ["../../x", "/etc/passwd", "..", "a/../../etc/passwd", "//etc"];
  return [
    ...targets.map((linkname) =>
      entryCase(`hard link to ${linkname}`, [{ name: "l", typeflag: tar.LINK, linkname }], "E_LAYER_ESCAPE"),
    ),
    entryCase("hard link to nothing", [{ name: "l", typeflag: tar.LINK, linkname: "nowhere" }], "E_LAYER_LINK"),
    entryCase("hard link to itself", [{ name: "l", typeflag: tar.LINK, linkname: "l" }], "E_LAYER_LINK"),
    entryCase("hard link to a folder", [{ name: "l", typeflag: tar.LINK, linkname: "dir" }], "E_LAYER_LINK"),
    entryCase(
      "hard link to a later entry",
      [{ name: "l", typeflag: tar.LINK, linkname: "later" }, { name: "later" }],
      "E_LAYER_LINK",
    ),
    entryCase("hard link to an empty name", [{ name: "l", typeflag: tar.LINK, linkname: "" }], "E_LAYER_LINK"),
    entryCase("symbolic link to an empty name", [{ name: "l", typeflag: tar.SYMLINK, linkname: "" }], "E_LAYER_NAME"),
    entryCase("symbolic link of 5000 bytes", [{ name: "l", typeflag: tar.SYMLINK, linkname: "t".repeat(5000) }], "E_LAYER_NAME"),
    entryCase(
      "a link to / and a file below it",
      [
        { name: "a", typeflag: tar.SYMLINK, linkname: "/" },
        { name: "a/x", body: "x" },
      ],
      undefined,
    ),
    entryCase(
      "a link up and a file below it",
      [
        { name: "a", typeflag: tar.SYMLINK, linkname: "../../../.." },
        { name: "a/x", body: "x" },
      ],
      undefined,
    ),
    entryCase(
      "a link to the machine's passwd, written through",
      [
        { name: "a", typeflag: tar.SYMLINK, linkname: "/etc/passwd" },
        { name: "a", body: "x" },
      ],
      "E_TAR_DUPLICATE",
    ),
    entryCase(
      "two links and a hard link",
      [
        { name: "a", typeflag: tar.SYMLINK, linkname: "." },
        { name: "a/b", typeflag: tar.SYMLINK, linkname: ".." },
        { name: "c", typeflag: tar.LINK, linkname: "a/b/etc/passwd" },
      ],
      undefined,
      "E_LAYER_LINK",
    ),
    entryCase(
      "links in a circle below which a file is",
      [
        { name: "a", typeflag: tar.SYMLINK, linkname: "b" },
        { name: "b", typeflag: tar.SYMLINK, linkname: "a" },
        { name: "a/x", body: "x" },
      ],
      "E_DRIVER",
    ),
    entryCase(
      "a folder that becomes a link, and files below",
      [
        { name: "dir", typeflag: tar.SYMLINK, linkname: "/etc" },
        { name: "dir/passwd", body: "owned" },
      ],
      undefined,
      "E_DRIVER",
    ),
  ];
}

function whiteouts(): HostileCase[] {
  return [
    ...[".wh.", ".wh..", ".wh...", "dir/.wh.", "dir/.wh..", "dir/.wh..."].map((name) =>
      entryCase(`whiteout ${name}`, [{ name }], "E_LAYER_WHITEOUT"),
    ),
    entryCase("an opaque mark that is a folder", [{ name: "dir/.wh..wh..opq/", typeflag: tar.DIRECTORY }], "E_LAYER_WHITEOUT"),
    entryCase(
      "an opaque mark that is a link",
      [{ name: "dir/.wh..wh..opq", typeflag: tar.SYMLINK, linkname: "/" }],
      "E_LAYER_WHITEOUT",
    ),
    entryCase("a whiteout that is a device", [{ name: ".wh.dir", typeflag: tar.CHARACTER }], "E_LAYER_WHITEOUT"),
    entryCase("a whiteout with content", [{ name: ".wh.dir", body: "x" }], "E_LAYER_WHITEOUT"),
    entryCase("a reserved name below the top", [{ name: "dir/.wh..wh.aufs", body: "x" }], "E_LAYER_WHITEOUT"),
    entryCase("a file below a whiteout", [{ name: "dir/.wh.sub/x", body: "x" }], "E_LAYER_WHITEOUT"),
    entryCase(
      "AUFS's own folders",
      [{ name: ".wh..wh.plnk/" }, { name: ".wh..wh.plnk/1.2", body: "x" }, { name: ".wh..wh.orph/" }, { name: ".wh..wh.aufs" }],
      undefined,
    ),
    entryCase(
      "a link into AUFS's folder that is not there",
      [{ name: "l", typeflag: tar.LINK, linkname: ".wh..wh.plnk/9.9" }],
      "E_LAYER_LINK",
    ),
    entryCase(
      "a whiteout through a link",
      [{ name: "a", typeflag: tar.SYMLINK, linkname: "etc" }, { name: "a/.wh.passwd" }],
      undefined,
      "E_DRIVER",
    ),
    entryCase("a name and its whiteout", [{ name: "dir", typeflag: tar.REGULAR, body: "x" }, { name: ".wh.dir" }], undefined),
    entryCase("a whiteout and its name", [{ name: ".wh.dir" }, { name: "dir/" }], undefined),
    entryCase("a whiteout of what was never there", [{ name: ".wh.never" }], undefined),
  ];
}

function owners(): HostileCase[] {
  return [
    ...[2 ** 32 - 1, -1, 2 ** 32, 2 ** 40].flatMap((id) => [
      entryCase(`uid ${id}`, [{ name: "x", uid: id }], "E_LAYER_OWNER"),
      entryCase(`gid ${id}`, [{ name: "x", gid: id }], "E_LAYER_OWNER"),
    ]),
    entryCase("uid 2^31 is a user, and not root", [{ name: "x", uid: 2 ** 31 }], undefined),
    entryCase("setuid, setgid and sticky are kept in the model", [{ name: "x", mode: 0o7777, body: "x" }], undefined),
    entryCase("a mode of 20 bits", [{ name: "x", mode: 0o1777777 }], "E_LAYER_OWNER"),
    entryCase("a device 0/0", [{ name: "x", typeflag: tar.CHARACTER }], undefined),
    entryCase("the machine's disk", [{ name: "sda", typeflag: tar.BLOCK_DEVICE, major: 8, minor: 0, mode: 0o666 }], undefined),
    entryCase("a device 4096/0", [{ name: "x", typeflag: tar.CHARACTER, major: 4096 }], "E_LAYER_DEVICE"),
    entryCase("a fifo", [{ name: "x", typeflag: tar.FIFO }], undefined),
    ...[
      "trusted.overlay.opaque",
      "trusted.overlay.redirect",
      "trusted.overlay.metacopy",
      "user.overlay.opaque",
      "trusted.aufs.x",
    ].map((key) => entryCase(`xattr ${key}`, [{ name: "x", xattrs: [[key, Uint8Array.of(0x79)]] }], "E_LAYER_XATTR")),
    entryCase("a file capability", [{ name: "x", body: "x", xattrs: [["security.capability", CAPABILITY]] }], undefined),
    entryCase(
      "no file capability",
      [{ name: "x", body: "x", xattrs: [["security.capability", new Uint8Array(20)]] }],
      "E_DRIVER",
    ),
    ...["A", "S", "V", "M", "D", "7", "z", "\u0001"].map((typeflag) =>
      entryCase(`type ${JSON.stringify(typeflag)}`, [{ name: "x", typeflag }], typeflag === "S" ? "E_TAR_SPARSE" : "E_TAR_TYPE"),
    ),
  ];
}

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
  const zeros = (): Content => Content.literal(gzipSync(new Uint8Array(2 ** 26)));
  const archiveWith = (layer: () => Content, config?: Parts["config"]) => (): Content =>
    archiveOf({ layers: [layer()], ...(config === undefined ? {} : { config }) });
  return [
    { name: "64 MiB of zeros in 64 KiB", code: "E_LIMIT", archive: archiveWith(zeros) },
    { name: "gzip in gzip", code: "E_FORMAT", archive: () => Content.literal(gzipSync(gzipSync(new Uint8Array(2 ** 26)))) },
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

function configCase(name: string, code: string | undefined, config: (diffIds: readonly string[]) => string): HostileCase {
  return { name: `config: ${name}`, code, archive: () => archiveOf({ layers: [layerOf(BASE)], config }) };
}

function withRootfs(more: string): (diffIds: readonly string[]) => string {
  return (ids) =>
    `{"created":"2020-01-01T00:00:00Z","os":"linux","rootfs":{"type":"layers","diff_ids":${JSON.stringify(ids)}}${more}}`;
}

function configs(): HostileCase[] {
  const digests = [
    "sha256:ABCDEF",
    `sha256:${"A".repeat(64)}`,
    "sha256:../../../etc/passwd",
    `sha512:${"0".repeat(128)}`,
    "",
    `sha256:${"0".repeat(63)}`,
    `${"0".repeat(64)}`,
  ];
  return [
    configCase("no JSON", "E_IMAGE_JSON", () => "{"),
    configCase("a list", "E_IMAGE_JSON", () => "[]"),
    configCase("null", "E_IMAGE_JSON", () => "null"),
    configCase("a number", "E_IMAGE_JSON", () => "1e400"),
    configCase("no rootfs", "E_IMAGE_JSON", () => "{}"),
    configCase("a rootfs that is a list", "E_IMAGE_JSON", () => '{"rootfs":[]}'),
    configCase("diff_ids of numbers", "E_IMAGE_JSON", () => '{"rootfs":{"diff_ids":[1]}}'),
    configCase("diff_ids that is an object", "E_IMAGE_JSON", () => '{"rootfs":{"diff_ids":{"length":1}}}'),
    ...digests.map((digest) =>
      configCase(`diffID ${digest.slice(0, 30)}`, "E_DIGEST_FORMAT", () => JSON.stringify({ rootfs: { diff_ids: [digest] } })),
    ),
    configCase("another diffID", "E_DIGEST_MISMATCH", () =>
      JSON.stringify({ rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
    ),
    configCase("two diffIDs for one layer", "E_IMAGE_LAYERS", ([id]) => JSON.stringify({ rootfs: { diff_ids: [id, id] } })),
    configCase("no diffIDs for one layer", "E_IMAGE_LAYERS", () => '{"rootfs":{"diff_ids":[]}}'),
    configCase("100,000 levels", "E_LIMIT", () => `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`),
    configCase("5 MiB", "E_LIMIT", withRootfs(`,"x":"${"x".repeat(5 * 2 ** 20)}"`)),
    configCase("a byte order mark", "E_IMAGE_JSON", (ids) => `\ufeff${withRootfs("")(ids)}`),
    configCase("a history of more steps than layers", "E_IMAGE_LAYERS", withRootfs(',"history":[{},{}]')),
    configCase("a history of fewer steps than layers", "E_IMAGE_LAYERS", withRootfs(',"history":[{"empty_layer":true}]')),
    configCase("a history of numbers", "E_IMAGE_JSON", withRootfs(',"history":[1]')),
    configCase("a time in words", "E_IMAGE_JSON", withRootfs(',"history":[{"created":"now"}]')),
    configCase(
      "__proto__",
      undefined,
      withRootfs(',"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}'),
    ),
    configCase("a key twice", undefined, withRootfs(',"os":"linux","os":"plan9"')),
    configCase("lone surrogates", undefined, withRootfs(',"author":"\\ud800"')),
    configCase("2^53 + 1", undefined, withRootfs(',"Size":9007199254740993')),
    configCase("2000 layers", "E_LIMIT", ([id]) =>
      JSON.stringify({ rootfs: { diff_ids: new Array<string>(2000).fill(id ?? "") } }),
    ),
  ];
}

function manifestCase(name: string, code: string | undefined, manifest: Parts["manifest"] & {}): HostileCase {
  return { name: `manifest: ${name}`, code, archive: () => archiveOf({ layers: [layerOf(BASE)], manifest }) };
}

function manifests(): HostileCase[] {
  const item = (fields: object): string => JSON.stringify([fields]);
  return [
    manifestCase("no JSON", "E_IMAGE_JSON", () => "[{"),
    manifestCase("an object", "E_FORMAT", () => "{}"),
    manifestCase("an empty list", "E_IMAGE_LAYERS", () => "[]"),
    manifestCase("a list of numbers", "E_IMAGE_JSON", () => "[1]"),
    manifestCase("no fields", "E_IMAGE_MISSING", () => "[{}]"),
    manifestCase("a configuration that is not there", "E_IMAGE_MISSING", () => item({ Config: "nowhere.json", Layers: [] })),
    manifestCase("a configuration that leads out", "E_LAYER_ESCAPE", () => item({ Config: "../../etc/passwd", Layers: [] })),
    manifestCase("a layer that leads out", "E_LAYER_ESCAPE", (Config) => item({ Config, Layers: ["../../../../etc/passwd"] })),
    manifestCase("a layer that is not there", "E_IMAGE_MISSING", (Config) => item({ Config, Layers: ["9/layer.tar"] })),
    manifestCase("no layers", "E_IMAGE_LAYERS", (Config) => item({ Config, Layers: [] })),
    manifestCase("the layer twice", "E_IMAGE_LAYERS", (Config, [layer]) => item({ Config, Layers: [layer, layer] })),
    manifestCase("layers of numbers", "E_IMAGE_JSON", (Config) => item({ Config, Layers: [0] })),
    manifestCase("a configuration for a layer", "E_TAR_TRUNCATED", (Config) => item({ Config, Layers: [Config] })),
    ...["UPPER:1", "a", ":1", "a:", "a:b c", "../a:1", `${"n".repeat(600)}:1`, "a:--x", "a@sha256:0", "\u0000:1", "a\n:1"].map(
      (tag) =>
        manifestCase(`the tag ${JSON.stringify(tag.slice(0, 20))}`, "E_IMAGE_NAME", (Config, Layers) =>
          item({ Config, Layers, RepoTags: [tag] }),
        ),
    ),
    manifestCase("tags that are no list", "E_IMAGE_JSON", (Config, Layers) => item({ Config, Layers, RepoTags: "a:1" })),
    {
      name: "a configuration under another digest's name",
      code: "E_DIGEST_MISMATCH",
      archive: () => archiveOf({ layers: [layerOf(BASE)], configName: `${"0".repeat(64)}.json` }),
    },
    {
      name: "a device in the archive itself",
      code: "E_TAR_TYPE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "dev", typeflag: tar.CHARACTER }] }),
    },
    {
      name: "a file twice in the archive itself",
      code: "E_TAR_DUPLICATE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "manifest.json", body: "[]" }] }),
    },
    {
      name: "a name that leads out of the archive itself",
      code: "E_LAYER_ESCAPE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "../x", body: "" }] }),
    },
    {
      name: "a layer that is a link to the machine's files",
      code: "E_LAYER_ESCAPE",
      archive: () => {
        const config = defaultConfig([digestOfContent(layerOf(BASE), nodeHasher)]);
        const name = `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
        return layerOf([
          { name: "l/layer.tar", typeflag: tar.SYMLINK, linkname: "../../../../etc/passwd" },
          { name, body: config },
          { name: "manifest.json", body: JSON.stringify([{ Config: name, Layers: ["l/layer.tar"] }]) },
        ]);
      },
    },
    { name: "an archive of something else", code: "E_FORMAT", archive: () => layerOf(BASE) },
  ];
}

function layoutCase(name: string, code: string | undefined, change: (files: Map<string, string>) => void): HostileCase {
  const archive = (): Content => {
    const layer = layerOf(BASE);
    const files = new Map<string, string>();
    const blob = (text: string): string => {
      const digest = digestOf(new TextEncoder().encode(text), nodeHasher);
      files.set(`blobs/sha256/${digest.slice(7)}`, text);
      return digest;
    };
    const layerText = layer.toText();
    const diffId = blob(layerText);
    const config = defaultConfig([diffId]);
    const configId = blob(config);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      config: { digest: configId, size: config.length },
      layers: [{ digest: diffId, size: layerText.length }],
    });
    const digest = blob(manifest);
    files.set(
      "index.json",
      JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: manifest.length }],
      }),
    );
    files.set("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
    change(files);
    return layerOf([...files].map(([path, body]) => ({ name: path, body })));
  };
  return { name: `OCI layout: ${name}`, code, archive };
}

function layouts(): HostileCase[] {
  const edit = (files: Map<string, string>, name: string, from: string | RegExp, to: string): void =>
    void files.set(name, (files.get(name) ?? "").replace(from, to));
  const blobNamed = (files: Map<string, string>, part: string): string =>
    [...files.keys()].find((name) => name.startsWith("blobs/") && (files.get(name) ?? "").includes(part)) ?? "";
  return [
    layoutCase("as it should be", undefined, () => {}),
    layoutCase("no oci-layout", "E_FORMAT", (files) => void files.delete("oci-layout")),
    layoutCase("version 2", "E_FORMAT", (files) => edit(files, "oci-layout", "1.0.0", "2.0.0")),
    layoutCase("an index of nothing", "E_IMAGE_LAYERS", (files) => void files.set("index.json", "{}")),
    layoutCase("an index that is a list", "E_IMAGE_JSON", (files) => void files.set("index.json", "[]")),
    layoutCase("an index with a manifest's fields", "E_IMAGE_JSON", (files) => edit(files, "index.json", "{", '{"layers":[],')),
    layoutCase("a digest that leads out", "E_DIGEST_FORMAT", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, "sha256:../../../../etc/passwd"),
    ),
    layoutCase("a digest of upper case", "E_DIGEST_FORMAT", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, `sha256:${"A".repeat(64)}`),
    ),
    layoutCase("a blob that is not there", "E_IMAGE_MISSING", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, `sha256:${"0".repeat(64)}`),
    ),
    layoutCase("a wrong size", "E_DIGEST_MISMATCH", (files) => edit(files, "index.json", /"size":\d+/, '"size":1')),
    layoutCase("a negative size", "E_IMAGE_JSON", (files) => edit(files, "index.json", /"size":\d+/, '"size":-1')),
    layoutCase("a size of 2^63", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", /"size":\d+/, '"size":9223372036854775808'),
    ),
    layoutCase("one byte of a layer changed", "E_DIGEST_MISMATCH", (files) =>
      edit(files, blobNamed(files, "passwd\0"), "root", "r00t"),
    ),
    layoutCase("one byte of the configuration changed", "E_DIGEST_MISMATCH", (files) =>
      edit(files, blobNamed(files, "diff_ids"), "amd64", "arm64"),
    ),
    layoutCase("a media type that makes a manifest an index", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", "image.manifest", "image.index"),
    ),
    layoutCase("annotations that are a text", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", '"size"', '"annotations":"x","size"'),
    ),
    layoutCase("a reference with a newline", "E_IMAGE_NAME", (files) =>
      edit(files, "index.json", '"size"', '"annotations":{"org.opencontainers.image.ref.name":"a\\nb"},"size"'),
    ),
  ];
}

/** Cases whose answer can depend on the driver: those of single entries. */
export function entryCases(): readonly HostileCase[] {
  return [...names(), ...links(), ...whiteouts(), ...owners()];
}

/** Every case. */
export function hostileCases(): readonly HostileCase[] {
  return [...entryCases(), ...bytesCases(), ...paxCases(), ...bombs(), ...configs(), ...manifests(), ...layouts()];
}
