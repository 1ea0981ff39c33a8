/**
 * What btrfs receive makes of each command of a stream, and what it says of commands that cannot be (btrfs-progs 6.2: cmds/receive.c,
 * common/send-stream.c); and how the stream's text names every command.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { crc32cBytes } from "../../sim/core/crc32c.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { receive } from "../../sim/cow/btrfs/receive.ts";
import { type Command, type CommandAttributes, decodeStream, encodeStream, StreamProblem } from "../../sim/cow/btrfs/stream.ts";
import {
  type Attributes,
  newAttributes,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../../sim/vfs/filesystem.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const UUID = "4e1f3b7c-0000-4000-8000-000000000001";
const OTHER = "4e1f3b7c-0000-4000-8000-000000000002";
const TIME = { seconds: 1_700_000_000, nanoseconds: 5 };
const DATA = new Uint8Array(4096).fill(7);

let lab: BtrfsLab;
beforeEach(() => {
  lab = new BtrfsLab();
});

function command(name: Command["name"], attributes: CommandAttributes = {}): Command {
  return { name, attributes };
}

const BEGIN = command("subvol", { path: "r", uuid: UUID, ctransid: 9 });

/** The error and the command that it is of, or "received". */
function received(...commands: readonly Command[]): string {
  const failed = receive({ task: lab.host.task, folder: "/m", top: "/m" }, [BEGIN, ...commands]);
  if (failed === undefined) return "received";
  return isErrno(failed) ? failed.code : `${failed.errno.code} of ${failed.command.name}`;
}

function attributesOf(path: string): Attributes {
  const of = newAttributes();
  must(lab.host.task.lstat(path, of));
  return of;
}

describe("a stream", () => {
  test("makes files of every kind without rights, which the commands behind give them", () => {
    const made = [
      command("mkfile", { path: "f", ino: 257 }),
      command("mkfifo", { path: "p" }),
      command("mksock", { path: "s" }),
      command("mknod", { path: "c", mode: S_IFCHR | 0o644, rdev: 0x103 }),
      command("mknod", { path: "b", mode: S_IFBLK | 0o644, rdev: 0x12_00_305 }),
    ];
    expect(received(...made, command("chmod", { path: "f", mode: 0o640 }), command("chown", { path: "f", uid: 7, gid: 8 }))).toBe(
      "received",
    );
    const types = ["f", "p", "s", "c", "b"].map((name) => attributesOf(`/m/r/${name}`).mode & S_IFMT);
    expect(types).toEqual([S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK]);
    expect(attributesOf("/m/r/f")).toMatchObject({ mode: S_IFREG | 0o640, uid: 7, gid: 8 });
    expect(attributesOf("/m/r/p").mode & 0o777).toBe(0o600);
    lab.host.check();
  });

  test("writes, clones, cuts and stamps, sets attributes and takes them away, and ends read-only under the sender's name", () => {
    const path = "f";
    const clone = { clone_uuid: UUID, clone_ctransid: 9, clone_path: "f", clone_offset: 0, clone_len: 4096 };
    expect(
      received(
        command("mkfile", { path }),
        command("write", { path, file_offset: 0, data: DATA }),
        command("mkfile", { path: "g" }),
        command("clone", { path: "g", file_offset: 4096, ...clone }),
        command("truncate", { path: "g", size: 6000 }),
        command("set_xattr", { path, xattr_name: "user.a", xattr_data: DATA.subarray(0, 3) }),
        command("set_xattr", { path, xattr_name: "user.b", xattr_data: DATA.subarray(0, 3) }),
        command("remove_xattr", { path, xattr_name: "user.a" }),
        command("update_extent", { path, file_offset: 0, size: 4096 }),
        command("utimes", { path, atime: TIME, mtime: TIME, ctime: TIME }),
        command("end"),
      ),
    ).toBe("received");
    const { task } = lab.host;
    expect(attributesOf("/m/r/g").size).toBe(6000);
    expect(must(task.listxattr("/m/r/f"))).toEqual(["user.b"]);
    expect(attributesOf("/m/r/f").mtime).toEqual(TIME);
    expect(task.mkdir("/m/r/d")).toMatchObject({ code: "EROFS" });
    lab.host.check();
  });
});

const NEED_MORE: readonly (readonly [Command["name"], CommandAttributes])[] = [
  ["mkfile", {}],
  ["mknod", { path: "x", mode: S_IFCHR }],
  ["symlink", { path: "x" }],
  ["rename", { path: "f" }],
  ["link", { path: "x" }],
  ["set_xattr", { path: "f", xattr_name: "user.a" }],
  ["remove_xattr", { path: "f" }],
  ["write", { path: "f", data: DATA }],
  ["clone", { path: "f", file_offset: 0, clone_len: 1, clone_path: "f", clone_offset: 0 }],
  ["truncate", { path: "f" }],
  ["chmod", { path: "f" }],
  ["chown", { path: "f", uid: 1 }],
  ["utimes", { path: "f", atime: TIME }],
  ["update_extent", { path: "f", size: 1 }],
  ["snapshot", { path: "other", uuid: OTHER, ctransid: 1 }],
];

describe("a command", () => {
  test.each(NEED_MORE)("%s that lacks an attribute fails with ENOENT (TLV_GET)", (name, attributes) => {
    expect(received(command("mkfile", { path: "f" }), command(name, attributes))).toBe(`ENOENT of ${name}`);
  });

  const clone = { file_offset: 0, clone_len: 4096, clone_offset: 0 };
  test.each<readonly [string, Command, string]>([
    ["of a file that is not there", command("write", { path: "no", file_offset: 0, data: DATA }), "ENOENT"],
    ["of a name that is taken", command("mkdir", { path: "f" }), "EEXIST"],
    [
      "of a source that was never received",
      command("clone", { path: "f", ...clone, clone_uuid: OTHER, clone_path: "f" }),
      "ENOENT",
    ],
    [
      "of a source's file that is not there",
      command("clone", { path: "f", ...clone, clone_uuid: UUID, clone_path: "no" }),
      "ENOENT",
    ],
    ["into a file that is not there", command("clone", { path: "no", ...clone, clone_uuid: UUID, clone_path: "f" }), "ENOENT"],
    ["behind a source's end", command("clone", { path: "f", ...clone, clone_uuid: UUID, clone_path: "f" }), "EINVAL"],
    [
      "on a parent that was never received",
      command("snapshot", { path: "n", uuid: UUID, ctransid: 1, clone_uuid: OTHER }),
      "ENOENT",
    ],
    ["before a file's beginning", command("write", { path: "f", file_offset: -1, data: DATA }), "EINVAL"],
    ["at a name that is taken", command("subvol", { path: "r", uuid: UUID, ctransid: 1 }), "EEXIST"],
  ])("%s fails with the call's error, and leaves nothing open", (_, failing, code) => {
    expect(received(command("mkfile", { path: "f" }), failing)).toBe(`${code} of ${failing.name}`);
    expect(lab.host.unmount("/m")).toBeUndefined();
  });

  test("that comes before its subvolume, or a folder on no btrfs, cannot be received", () => {
    const to = { task: lab.host.task, folder: "/m", top: "/m" };
    expect(receive(to, [command("end")])).toMatchObject({ errno: { code: "EINVAL" } });
    expect(receive({ ...to, folder: "/" }, [])).toMatchObject({ code: "EINVAL" });
    expect(receive({ ...to, folder: "/none" }, [])).toMatchObject({ code: "ENOENT" });
  });
});

test("the text of a stream has a line for each command, with what it is about", () => {
  const text = dumpStream([
    BEGIN,
    command("remove_xattr", { path: "f", xattr_name: "user.a" }),
    command("clone", { path: "g", file_offset: 0, clone_len: 4096, clone_uuid: UUID, clone_path: "f", clone_offset: 8192 }),
    command("update_extent", { path: "f", file_offset: 4096, size: 100 }),
    command("utimes", { path: "f", atime: { seconds: 1_706_000_000, nanoseconds: 0 }, mtime: TIME, ctime: TIME }),
  ]).join("\n");
  for (const part of [
    "remove_xattr",
    "name=user.a",
    "clone",
    "len=4096",
    "update_extent",
    "offset=4096",
    "2024-01-23",
    "2023-11-14",
  ])
    expect(text).toContain(part);
});

test("the text of a command that lacks attributes says nothing of them", () => {
  const lacking = (["mkfile", "mknod", "set_xattr", "write", "rename", "utimes"] as const).map((name) => command(name));
  const chmod = command("chmod", { path: "f", mode: 0o640 });
  expect(dumpStream([...lacking, chmod]).map((line) => line.replace(/ +/g, " "))).toEqual([
    "mkfile ./",
    "mknod ./",
    "set_xattr ./",
    "write ./",
    "rename ./",
    "utimes ./",
    "chmod ./f mode=640",
  ]);
});

/** The bytes of a command whose payload is as given, with its checksum. */
function rawCommand(number: number, payload: readonly number[]): Uint8Array {
  const out = Uint8Array.from([...encodeStream([]), payload.length, 0, 0, 0, number, 0, 0, 0, 0, 0, ...payload]);
  new DataView(out.buffer).setUint32(23, crc32cBytes(0, out.subarray(17)), true);
  return out;
}

test.each<readonly [what: string, number: number, payload: readonly number[], message: string]>([
  ["a command that no kernel sends", 99, [], "command 99 at byte 17 is not known"],
  ["an attribute that is cut", 18, [15, 0, 1], "the attributes of the chmod at byte 17 are wrong"],
  ["an attribute that is not known", 18, [99, 0, 0, 0], "the attributes of the chmod at byte 17 are wrong"],
  ["a value that is longer than its command", 18, [15, 0, 9, 0, 65], "the attributes of the chmod at byte 17 are wrong"],
  ["a number that is not of 8 bytes", 18, [5, 0, 2, 0, 1, 1], "the attributes of the chmod at byte 17 are wrong"],
  ["a time that is not of 12 bytes", 20, [11, 0, 2, 0, 1, 1], "the attributes of the utimes at byte 17 are wrong"],
  ["a uuid that is not of 16 bytes", 1, [1, 0, 2, 0, 1, 1], "the attributes of the subvol at byte 17 are wrong"],
])("%s is refused with its place", (_, number, payload, message) => {
  expect(decodeStream(rawCommand(number, payload))).toMatchObject({ message });
});

test("bytes that end within a command, an attribute or a value are refused with the command's name", () => {
  const raw = encodeStream([BEGIN, command("chmod", { path: "f", mode: 0o644 })]);
  const told = new Set<string>();
  for (let length = 18; length < raw.length; length++) {
    const problem = decodeStream(raw.subarray(0, length));
    if (problem instanceof StreamProblem) told.add(problem.message.replace(/\d+/, "N"));
  }
  expect([...told]).toEqual(["it ends within a command, at byte N"]);
});
