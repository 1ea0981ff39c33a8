/** What one operation and a sync write, in KiB, against the bios of the real ext4 on 10 GiB (block sheet, 1.13), each row on a mount of its own. */
import { expect, it } from "vitest";
import { Content } from "../../sim/core/content.ts";
import type { Inode } from "../../sim/vfs/filesystem.ts";
import { folder, type Mounted, make, must, put } from "./disk-helpers.ts";
import { lab, mounted, ROOT } from "./ext4-helpers.ts";

type On = Mounted;

const found = (on: On, name: string): Inode => must(on.fs.lookup(ROOT, on.names.intern(name)));
const opened = (on: On, inode: Inode): void => on.fs.close(must(on.fs.open(inode, 1)), 1);
const written = (on: On, name: string, length: number): number => put(on, make(on, ROOT, name), 0, Content.pattern(1, length));

const ROWS: readonly (readonly [what: string, kib: number, act: (on: On) => void])[] = [
  ["create an empty file", 52, (on) => opened(on, make(on, ROOT, "empty"))],
  ["a file of 1 byte", 64, (on) => void written(on, "b1", 1)],
  // 76 there: a second commit fell into that row (two FUA writes instead of one).
  ["a file of 4096 bytes, in one transaction", 64, (on) => void written(on, "b4k", 4096)],
  ["a file of 65536 bytes", 124, (on) => void written(on, "b64k", 65_536)],
  ["a file of 1048577 bytes", 1088, (on) => void written(on, "b1m", 1_048_577)],
  ["mkdir", 68, (on) => void folder(on, ROOT, "d")],
  [
    "100 files of 4 KiB",
    508,
    (on) => {
      for (let n = 0; n < 100; n++) put(on, make(on, found(on, "d"), `f${n}`), 0, Content.pattern(n, 4096));
    },
  ],
  // 1048776 there: the kernel commits several times while it writes a file as large (four FUA writes).
  ["a file of 1 GiB, in one transaction", 1_048_716, (on) => void written(on, "big", 2 ** 30)],
  ["overwrite 1 byte", 32, (on) => void put(on, found(on, "big"), 2 ** 29, Content.pattern(5, 1))],
  [
    "truncate 1048577 to 524288",
    44,
    (on) => {
      opened(on, found(on, "b1m"));
      must(on.fs.setattr(found(on, "b1m"), { size: 524_288 }));
    },
  ],
  ["chmod", 20, (on) => void must(on.fs.setattr(found(on, "big"), { mode: 0o600 }))],
  [
    "rename to another folder",
    44,
    (on) => void must(on.fs.rename(ROOT, on.names.intern("b4k"), found(on, "d"), on.names.intern("x"), 0)),
  ],
  [
    "delete 100 files",
    108,
    (on) => {
      for (let n = 0; n < 100; n++) must(on.fs.unlink(found(on, "d"), on.names.intern(`f${n}`)));
    },
  ],
  ["delete the file of 1 GiB", 136, (on) => void must(on.fs.unlink(ROOT, on.names.intern("big")))],
];

it("an operation and a sync write as many KiB as the kernel's", () => {
  const { disk, fs } = lab(10 * 2 ** 30);
  must(fs.unmount());
  const told = ROWS.map(([what, , act]) => {
    const on = mounted(disk);
    const before = disk.counters.writtenBytes;
    act(on);
    must(on.fs.sync());
    const kib = (disk.counters.writtenBytes - before) / 1024;
    on.fs.check();
    must(on.fs.unmount());
    return `${what}: ${kib}`;
  });
  expect(told).toEqual(ROWS.map(([what, kib]) => `${what}: ${kib}`));
});
