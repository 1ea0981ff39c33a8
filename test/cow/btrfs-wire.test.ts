/**
 * What btrfs writes and reads by fixed forms: where copies of the superblock lie, a send stream's bytes, what each of its commands needs and how the tool prints it
 * (fs/btrfs/send.h, Linux 6.18; btrfs-progs 6.2: common/send-stream.c, cmds/receive-dump.c).
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { crc32cBytes } from "../../sim/core/crc32c.ts";
import { EINVAL } from "../../sim/core/errno.ts";
import { bytes, GIB, KIB, MIB } from "../../sim/core/units.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { readSuperblock, type SuperblockRecord, writeSuperblock } from "../../sim/cow/btrfs/records.ts";
import { type Command, type CommandAttributes, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import { BtrfsLab } from "./btrfs-lab.ts";

describe("the superblock", () => {
  const record: SuperblockRecord = {
    kind: "btrfs.superblock",
    length: 4096,
    uuid: "u",
    generation: 7,
    root: 1,
    logRoot: 0,
    chunkRoot: 2,
    totalBytes: 3,
    mayHaveCache: false,
    systemChunks: [],
  };

  test.each([
    [MIB(64), [KIB(64)]],
    [MIB(64) + KIB(4) - 512, [KIB(64)]],
    [MIB(64) + KIB(4), [KIB(64), MIB(64)]],
    [GIB(256), [KIB(64), MIB(64)]],
    [GIB(256) + KIB(4), [KIB(64), MIB(64), GIB(256)]],
  ])("of a device of %i bytes has its copies at %j, each of which is read where those before it are torn", (size, places) => {
    const disk = new Disk({ size: bytes(size) });
    const written: number[] = [];
    disk.watcher = (command) => {
      if (command.kind === "write") written.push(command.offset);
    };
    expect(writeSuperblock(disk, record)).toBeUndefined();
    expect(written).toEqual(places);
    for (const place of places) {
      expect(readSuperblock(disk)).toMatchObject({ generation: 7 });
      disk.discard(bytes(place), bytes(KIB(4)));
    }
    expect(readSuperblock(disk)).toBe(EINVAL);
  });
});

const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const TIME = { seconds: -5, nanoseconds: 999_999_999 };
const NAMES =
  "subvol snapshot mkfile mkdir mknod mkfifo mksock symlink rename link unlink rmdir set_xattr remove_xattr write clone truncate chmod chown utimes end update_extent".split(
    " ",
  ) as Command["name"][];
/** Every attribute, in the order of their types, and the bytes of each value. */
const ATTRIBUTES: readonly (readonly [keyof CommandAttributes, CommandAttributes[keyof CommandAttributes], string])[] = [
  ["uuid", UUID, "0123456789abcdef0123456789abcdef"],
  ["ctransid", 0x0102030405, "0504030201000000"],
  ["ino", 257, "0101000000000000"],
  ["size", 1, "0100000000000000"],
  ["mode", 2, "0200000000000000"],
  ["uid", 3, "0300000000000000"],
  ["gid", 4, "0400000000000000"],
  ["rdev", 5, "0500000000000000"],
  ["ctime", TIME, "fbffffffffffffffffc99a3b"],
  ["mtime", { seconds: 1, nanoseconds: 2 }, "010000000000000002000000"],
  ["atime", { seconds: 3, nanoseconds: 4 }, "030000000000000004000000"],
  ["otime", { seconds: 5, nanoseconds: 6 }, "050000000000000006000000"],
  ["xattr_name", "n", "6e"],
  ["xattr_data", Uint8Array.of(1, 2), "0102"],
  ["path", "é", "c3a9"],
  ["path_to", "", ""],
  ["path_link", "l", "6c"],
  ["file_offset", 6, "0600000000000000"],
  ["data", Uint8Array.of(), ""],
  ["clone_uuid", UUID, "0123456789abcdef0123456789abcdef"],
  ["clone_ctransid", 7, "0700000000000000"],
  ["clone_path", "c", "63"],
  ["clone_offset", 8, "0800000000000000"],
  ["clone_len", 9, "0900000000000000"],
];

const hex = (raw: Uint8Array): string => Buffer.from(raw).toString("hex");
const HEADER = Buffer.from("btrfs-stream\0\u0001\0\0\0", "latin1");

/** A stream of one command with these bytes as attributes. */
function streamOf(number: number, payload: Uint8Array, checksum?: number): Uint8Array {
  const command = Buffer.alloc(10 + payload.length);
  command.writeUInt32LE(payload.length, 0);
  command.writeUInt16LE(number, 4);
  command.set(payload, 10);
  command.writeUInt32LE(checksum ?? crc32cBytes(0, command) >>> 0, 6);
  return new Uint8Array(Buffer.concat([HEADER, command]));
}

function attribute(type: number, value: string): Buffer {
  const raw = Buffer.from(value, "hex");
  const head = Buffer.alloc(4);
  head.writeUInt16LE(type, 0);
  head.writeUInt16LE(raw.length, 2);
  return Buffer.concat([head, raw]);
}

describe("a send stream", () => {
  test.each(NAMES.map((name, index) => [name, index + 1] as const))("has %s as command %i", (name, number) => {
    const raw = encodeStream([{ name, attributes: {} }]);
    expect(hex(raw)).toBe(hex(streamOf(number, new Uint8Array())));
    expect(decodeStream(raw)).toEqual([{ name, attributes: {} }]);
  });

  test.each(ATTRIBUTES.map(([name, value, raw], index) => [name, index + 1, value, raw] as const))(
    "has %s as attribute %i",
    (name, type, value, raw) => {
      const command = { name: "chmod", attributes: { [name]: value } } as Command;
      expect(hex(encodeStream([command]))).toBe(hex(streamOf(18, attribute(type, raw))));
      expect(decodeStream(encodeStream([command]))).toEqual([command]);
    },
  );

  test("has its commands one behind the other, and attributes in the order in which they were given", () => {
    const attributes = Object.fromEntries([...ATTRIBUTES].reverse().map(([name, value]) => [name, value]));
    const commands: Command[] = [
      { name: "mkfile", attributes },
      { name: "end", attributes: {} },
    ];
    const decoded = decodeStream(encodeStream(commands));
    expect(decoded).toEqual(commands);
    expect(Object.keys((decoded as Command[])[0]?.attributes ?? {})).toEqual(Object.keys(attributes));
    expect(hex(encodeStream([]))).toBe(hex(HEADER));
    expect(decodeStream(new Uint8Array(HEADER))).toEqual([]);
  });

  const path = attribute(15, "61");
  test.each<readonly [string, Uint8Array, RegExp]>([
    ["begins otherwise", Buffer.from("btrfs-stroam\0\u0001\0\0\0", "latin1"), /does not begin as a send stream does/],
    ["is shorter than its header", HEADER.subarray(0, 16), /does not begin/],
    ["is of version 2", Buffer.from("btrfs-stream\0\u0002\0\0\0", "latin1"), /version 2 is not known/],
    ["has a command that is cut in its head", streamOf(3, path).subarray(0, 26), /ends within a command, at byte 17/],
    ["has a command that is cut", streamOf(3, path).subarray(0, 31), /ends within a command, at byte 17/],
    ["has a command 0", streamOf(0, path), /command 0 at byte 17 is not known/],
    ["has a command 23", streamOf(23, path), /command 23 at byte 17 is not known/],
    ["has a wrong checksum", streamOf(3, path, 1), /checksum/],
    ["has an attribute 0", streamOf(3, attribute(0, "61")), /./],
    ["has an attribute 25", streamOf(3, attribute(25, "61")), /./],
    ["has an attribute that is cut", streamOf(3, path.subarray(0, 4)), /./],
    ["has an attribute that is cut in its head", streamOf(3, Buffer.concat([path, Buffer.of(1, 0, 0)])), /./],
    ["has a number of 7 bytes", streamOf(3, attribute(4, "00000000000000")), /./],
    ["has a time of 8 bytes", streamOf(3, attribute(9, "0000000000000000")), /./],
    ["has a uuid of 15 bytes", streamOf(3, attribute(1, "00".repeat(15))), /./],
  ])("that %s is none", (_, raw, message) => {
    const problem = decodeStream(new Uint8Array(raw));
    expect(problem).toBeInstanceOf(StreamProblem);
    expect((problem as StreamProblem).message).toMatch(message);
  });
});

/** Every attribute that any command needs. */
const ALL: CommandAttributes = {
  path: "p",
  uuid: UUID,
  ctransid: 9,
  clone_uuid: UUID,
  clone_ctransid: 9,
  mode: 0o100644,
  rdev: 5,
  path_link: "l",
  path_to: "t",
  xattr_name: "user.x",
  xattr_data: Uint8Array.of(65),
  file_offset: 0,
  data: Uint8Array.of(66, 67),
  clone_path: "c",
  clone_offset: 4096,
  clone_len: 8192,
  size: 3,
  uid: 1,
  gid: 2,
  atime: { seconds: 951_782_400, nanoseconds: 0 },
  mtime: { seconds: 951_868_799, nanoseconds: 0 },
  ctime: { seconds: 0, nanoseconds: 0 },
};

/** What each command needs. */
const NEEDED: readonly (readonly [Command["name"], string])[] = [
  ["subvol", "path uuid ctransid"],
  ["snapshot", "path uuid ctransid clone_uuid"],
  ["mkfile", "path"],
  ["mkdir", "path"],
  ["mknod", "path mode rdev"],
  ["mkfifo", "path"],
  ["mksock", "path"],
  ["symlink", "path path_link"],
  ["rename", "path path_to"],
  ["link", "path path_link"],
  ["unlink", "path"],
  ["rmdir", "path"],
  ["set_xattr", "path xattr_name xattr_data"],
  ["remove_xattr", "path xattr_name"],
  ["write", "path file_offset data"],
  ["clone", "path file_offset clone_len clone_uuid clone_path clone_offset"],
  ["truncate", "path size"],
  ["chmod", "path mode"],
  ["chown", "path uid gid"],
  ["utimes", "path atime mtime"],
  ["update_extent", "path file_offset size"],
];

describe("a command of a stream", () => {
  test.each(NEEDED)("%s is refused without any of %s", (name, needed) => {
    const lab = new BtrfsLab();
    const begins: Command = { name: "subvol", attributes: { path: `r-${name}`, uuid: UUID, ctransid: 9 } };
    const commands = name === "subvol" || name === "snapshot" ? [] : [begins];
    for (const [index, missing] of needed.split(" ").entries()) {
      const attributes = Object.fromEntries(Object.entries(ALL).filter(([key]) => key !== missing));
      // Each time another subvolume is begun.
      const first = commands.map((command) => ({
        ...command,
        attributes: { ...command.attributes, path: `r-${name}-${index}` },
      }));
      const failed = receive({ task: lab.host.task, folder: "/m", top: "/m" }, [...first, { name, attributes }]);
      expect(failed, missing).toMatchObject({ errno: { code: "ENOENT" }, command: { name } });
    }
  });
});

describe("receive --dump", () => {
  const full = (path: string): string => path.padEnd(31);
  test.each<readonly [Command["name"], string]>([
    ["subvol", `${full("./p")} uuid=${UUID} transid=9`],
    ["snapshot", `${full("./p")} uuid=${UUID} transid=9 parent_uuid=${UUID} parent_transid=9`],
    ["mkfile", "./s/p"],
    ["mkdir", "./s/p"],
    ["mknod", `${full("./s/p")} mode=100644 dev=0x5`],
    ["mkfifo", "./s/p"],
    ["mksock", "./s/p"],
    ["symlink", `${full("./s/p")} dest=l`],
    ["rename", `${full("./s/p")} dest=./s/t`],
    ["link", `${full("./s/p")} dest=l`],
    ["unlink", "./s/p"],
    ["rmdir", "./s/p"],
    ["set_xattr", `${full("./s/p")} name=user.x data=A len=1`],
    ["remove_xattr", `${full("./s/p")} name=user.x`],
    ["write", `${full("./s/p")} offset=0 len=2`],
    ["clone", `${full("./s/p")} offset=0 len=8192 from=./s/c clone_offset=4096`],
    ["truncate", `${full("./s/p")} size=3`],
    ["chmod", `${full("./s/p")} mode=100644`],
    ["chown", `${full("./s/p")} gid=2 uid=1`],
    ["utimes", `${full("./s/p")} atime=2000-02-29T00:00:00+0000 mtime=2000-02-29T23:59:59+0000 ctime=1970-01-01T00:00:00+0000`],
    ["update_extent", `${full("./s/p")} offset=0 len=3`],
  ])("prints %s", (name, line) => {
    const begins: Command = { name: "subvol", attributes: { path: "s" } };
    const commands: Command[] = [
      ...(name === "subvol" || name === "snapshot" ? [] : [begins]),
      { name, attributes: ALL },
      { name: "end", attributes: {} },
    ];
    const lines = dumpStream(commands);
    expect(lines.length).toBe(commands.length - 1);
    expect(lines.at(-1)).toBe(`${name.padEnd(15)} ${line}`);
  });

  test.each([
    [-1, "1969-12-31T23:59:59+0000"],
    [951_868_800, "2000-03-01T00:00:00+0000"],
    [4_107_542_399, "2100-02-28T23:59:59+0000"],
    [4_107_542_400, "2100-03-01T00:00:00+0000"],
    [1_735_689_599, "2024-12-31T23:59:59+0000"],
    [1_735_689_600, "2025-01-01T00:00:00+0000"],
    [1_709_164_800, "2024-02-29T00:00:00+0000"],
    [1_693_440_000, "2023-08-31T00:00:00+0000"],
    [13_574_563_200, "2400-02-29T00:00:00+0000"],
    [-62_135_596_800, "0001-01-01T00:00:00+0000"],
  ])("prints %i seconds as the date %s", (seconds, date) => {
    const [line] = dumpStream([{ name: "utimes", attributes: { path: "f", atime: { seconds, nanoseconds: 0 } } }]);
    expect(line?.split("atime=")[1]).toBe(date);
  });
});
