import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { afterAll, describe, expect, test } from "vitest";
import { createHost } from "../../sim/host.ts";
import { ArchiveError, readArchive } from "../../src/node/archive.ts";
import { unpackArchive } from "../../src/scenario/archive.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-archive-"));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

/** A file of this machine with some bytes. */
function fileOf(raw: Uint8Array): string {
  const path = join(folder, `archive-${count++}.tar`);
  writeFileSync(path, raw);
  return path;
}

/** A tar archive of entries: a header, and for files a text. */
async function tarOf(entries: readonly (readonly [Partial<Header> & { name: string }, string?])[]): Promise<Uint8Array> {
  const writer = pack();
  for (const [header, text] of entries) writer.entry(header, text ?? "");
  writer.finalize();
  const parts: Buffer[] = [];
  for await (const part of writer) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

describe("an archive", () => {
  test("keeps device numbers, owners, modes, times and extended attributes", async () => {
    const path = fileOf(
      gzipSync(
        await tarOf([
          [{ name: "dev/null", type: "character-device", devmajor: 1, devminor: 3, mode: 0o666 }],
          [{ name: "f", uid: 5, gid: 6, mode: 0o4755, mtime: new Date(1e12), pax: { "SCHILY.xattr.user.k": "v" } }, "hello"],
        ]),
      ),
    );
    const { entries } = await readArchive(path);
    expect(entries[0]).toMatchObject({ kind: "char", path: "/dev/null", major: 1, minor: 3, mode: 0o666 });
    expect(entries[1]).toMatchObject({ kind: "file", path: "/f", uid: 5, gid: 6, mode: 0o4755, mtime: 10n ** 18n });
    expect(entries[1]?.xattrs.map(([name, value]) => [name, String.fromCharCode(...value)])).toEqual([["user.k", "v"]]);
  });

  test.each([
    ["a name", { name: "../../etc/passwd" }],
    ["a link", { name: "l", type: "link", linkname: "../../etc/passwd" } as const],
  ])("with %s outside of its root is refused", async (_, header) => {
    const path = fileOf(await tarOf([[header]]));
    await expect(readArchive(path)).rejects.toThrow(/outside of the root/);
  });

  test("cannot write through a symbolic link to anything but its own tree", async () => {
    const path = fileOf(
      await tarOf([
        [{ name: "out", type: "symlink", linkname: "/../../etc" }],
        [{ name: "out/owned" }, "x"],
        [{ name: "etc", type: "directory" }],
      ]),
    );
    const host = createHost();
    host.task.mkdir("/etc", 0o755);
    host.task.mkdir("/layer", 0o755);
    const inside = host.task.chroot("/layer");
    if ("code" in inside) throw new Error(inside.code);
    unpackArchive(inside, await readArchive(path));
    expect(host.task.readdir("/etc")).toEqual([]);
  });

  test.each([
    ["no tar archive", Buffer.from("hello")],
    ["blocks of nonsense", Buffer.alloc(1024, 0x41)],
    ["a torn gzip stream", gzipSync(Buffer.alloc(10_240)).subarray(0, 20)],
  ])("that is %s is refused with a message", async (_, raw) => {
    await expect(readArchive(fileOf(raw))).rejects.toBeInstanceOf(ArchiveError);
  });
});
