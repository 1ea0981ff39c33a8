/** Where the log of ext4 goes on after a mount (journal_reset). The kernel's figures are s_head and s_start as Linux 6.18 wrote them, on 256 MiB. */
import { expect, test } from "vitest";
import { keepAll } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { kernelProfile } from "../../sim/core/kernel-profile.ts";
import { superblockOf } from "../../sim/fs/ext4/mount.ts";
import { readRecord } from "../../sim/fs/ext4/records.ts";
import { Ext4Host, ext4Disk, MIB, value } from "./ext4-lab.ts";

/** Makes a file of a byte, or makes one a byte longer, and syncs it. */
function write(host: Ext4Host, path: string): void {
  const file = value(host.task.open(path, 0o2101)) as number;
  value(host.task.write(file, Content.pattern(1, 1)));
  value(host.task.fsync(file));
  value(host.task.close(file));
  host.check();
}

/** What the journal's superblock says. */
function journal({ disk }: Ext4Host): { readonly start: number; readonly head: number } {
  const { journal } = value(superblockOf(disk));
  const record = readRecord(disk, journal[0] as number);
  if (record === undefined || !("start" in record)) throw new Error("no journal");
  const { start, head } = record;
  return { start, head };
}

/** Four commits, then a power cut that loses nothing, and a mount. */
function recovered(version: string): Ext4Host {
  const kernel = kernelProfile(version);
  const host = new Ext4Host(ext4Disk(256 * MIB), { kernel });
  for (const name of ["f0", "f1", "f2", "f0"]) write(host, `/${name}`);
  host.disk.powerCut(keepAll);
  return new Ext4Host(host.disk, { kernel });
}

test("from Linux 6.4 on the log goes on behind what was replayed, and behind what the last mount wrote", () => {
  const host = recovered("6.18");
  expect(journal(host)).toEqual({ start: 0, head: 26 });
  write(host, "/g");
  expect(journal(host).start).toBe(26);
  const again = host.remount();
  expect(journal(again)).toEqual({ start: 0, head: 34 });
});

test("before Linux 6.4 each mount begins at the log's first block", () => {
  const host = recovered("6.3");
  write(host, "/g");
  expect(journal(host).start).toBe(1);
  const again = host.remount({ kernel: kernelProfile("6.3") });
  write(again, "/h");
  expect(journal(again).start).toBe(1);
});
