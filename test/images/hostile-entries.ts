/** Entries made to hurt: names, links, whiteouts, owners and attributes. */
import type { Content } from "../../sim/core/content.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { archiveOf, BASE, type Entry, type HostileCase, layerOf } from "./hostile-archive.ts";

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

/** Cases whose answer can depend on the driver: those of single entries. */
export function entryCases(): readonly HostileCase[] {
  return [...names(), ...links(), ...whiteouts(), ...owners()];
}
