/**
 * A journal in which a block is wrong (fs/jbd2/recovery.c: do_one_pass). Linux 6.18 was asked for every block of the journal that twelve fsyncs had left:
 * without a descriptor or a commit block the log ends there; with another block wrong the mount fails with EBADMSG, when all others are in place.
 */
import { expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { EBADMSG, type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes, GIB } from "../../sim/core/units.ts";
import { mountExt4 } from "../../sim/fs/ext4/mount.ts";
import { make, must, onOwnHost, put } from "./disk-helpers.ts";
import { lab, ROOT } from "./ext4-helpers.ts";

/** The journal of 32 MiB in the middle of 1 GiB. */
const JOURNAL = 131_072;
const FILES = 12;

/** A disk as a crash leaves it after so many fsyncs. */
function crashed(): Disk {
  const on = lab(GIB(1));
  for (let n = 0; n < FILES; n++) {
    const file = make(on, ROOT, `f${n}`);
    put(on, file, 0, Content.pattern(n, 100));
    must(on.fs.sync());
  }
  on.disk.powerCut(() => false);
  return on.disk;
}

function kindAt(disk: Disk, block: number): string {
  return must(disk.read(bytes(block * 4096), bytes(4096))).wholeRecord()?.kind ?? "";
}

/** How many of the files a mount shows of a copy in which a block is zeros. */
function filesWithout(disk: Disk, block: number): number | Errno {
  const copy = disk.clone();
  must(copy.write(bytes(block * 4096), Content.zeros(4096)));
  let failed: Errno | undefined;
  try {
    const on = onOwnHost((environment) => {
      const fs = mountExt4(copy, environment);
      if (isErrno(fs)) failed = fs;
      return fs;
    });
    return Array.from({ length: FILES }, (_, n) => on.fs.lookup(ROOT, on.names.intern(`f${n}`))).filter((one) => !isErrno(one))
      .length;
  } catch (error) {
    if (failed === undefined) throw error;
    return failed;
  }
}

test("a log ends where a descriptor or a commit block is missing, and is refused where another block is wrong", () => {
  const disk = crashed();
  const told = new Map<string, (number | string)[]>();
  for (let block = JOURNAL + 1; ; block++) {
    const kind = kindAt(disk, block);
    if (kind === "") break;
    const shape = kind === "jbd2.descriptor" || kind === "jbd2.commit" ? kind : "other";
    const found = filesWithout(disk, block);
    told.set(shape, [...(told.get(shape) ?? []), isErrno(found) ? found.code : found]);
  }
  // Without the first one nothing is replayed: all but the last is in place already, and an older copy would replace it.
  const transactions = [FILES - 1, ...Array.from({ length: FILES - 1 }, (_, n) => n + 1)];
  expect(told.get("jbd2.descriptor")).toEqual(transactions);
  expect(told.get("jbd2.commit")).toEqual(transactions);
  expect(new Set(told.get("other"))).toEqual(new Set([EBADMSG.code]));
  expect(told.get("other")?.length).toBeGreaterThan(3 * FILES);
});
