/** A full ext4: which errno, what still works, and that freeing makes room again. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { MIB as MEBIBYTES, seconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, O_CREAT, O_RDWR, type StatFs } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { contentOf, Ext4Host, everything, ext4Disk, MIB, put, value } from "./ext4-lab.ts";

/** Appends to a file until the disk is full. @returns how many bytes found room. */
function fill(task: Task, path: string, piece = 100_000): number {
  const fd = value(task.open(path, O_CREAT | O_RDWR)) as number;
  let size = 0;
  for (;;) {
    const written = task.pwrite(fd, Content.pattern(size % 997, piece), size);
    if (isErrno(written)) {
      expect(written.code).toBe("ENOSPC");
      break;
    }
    size += written;
  }
  value(task.close(fd));
  return size;
}

test.each([true, false])("a disk fills up to its reserves, and a deleted file is room again (superuser: %s)", (superuser) => {
  let host = new Ext4Host(ext4Disk(16 * MIB), { privileged: () => superuser });
  const before = host.fs.statfs();
  const size = fill(host.task, "/big");
  host.check();
  const full = host.fs.statfs();
  // The clusters of s_resv_clusters are nobody's; the 5 % are the superuser's.
  const reserve = superuser ? 81 : 81 + 204;
  expect(full.blocksFree).toBe(reserve);
  expect(full.blocksAvailable).toBe(0);
  expect(size).toBe((before.blocksFree - reserve) * 4096);
  value(host.task.syncfs());
  host.check();
  host = host.remount({ privileged: () => superuser });
  host.check();
  expect(contentOf(host.task, "/big").length).toBe(size);
  value(host.task.unlink("/big"));
  host.check();
  expect(host.fs.statfs().blocksFree).toBe(before.blocksFree);
  expect(fill(host.task, "/again")).toBe(size);
  host.check();
  host.unmount();
});

test("files fill the disk, one in two goes, and what fills the gaps is whole after a mount", () => {
  let host = new Ext4Host(ext4Disk(16 * MIB), { memoryPages: 64 });
  const { task } = host;
  const random = new Random(4);
  let made = 0;
  for (; made < 5000; made++) {
    const fd = task.open(`/file ${made}`, O_CREAT | O_RDWR);
    if (isErrno(fd)) break;
    const answer = task.pwrite(fd, Content.pattern(made, 4096 * (1 + random.below(6))), 0);
    value(task.close(fd));
    if (isErrno(answer)) break;
  }
  host.check();
  expect(made).toBeGreaterThan(500);
  for (let n = 0; n < made; n += 2) value(task.unlink(`/file ${n}`));
  // Freed in the running transaction: usable once it is committed, which the shortage itself does.
  fill(task, "/gaps", 50_000);
  host.check();
  value(task.syncfs());
  host.check();
  const gaps = contentOf(task, "/gaps");
  host = host.remount();
  host.check();
  expect(contentOf(host.task, "/gaps") === gaps).toBe(true);
  value(host.task.truncate("/gaps", 10));
  host.check();
  host.unmount();
});

test("on a full disk names, attributes and links give ENOSPC when they need a block, and nothing is half done", () => {
  let host = new Ext4Host(ext4Disk(16 * MIB));
  const { task } = host;
  put(task, "/file", Content.text("x"));
  value(task.syncfs());
  fill(task, "/big", 4096);
  value(task.syncfs());
  expect(task.mkdir("/folder")?.code).toBe("ENOSPC");
  expect(task.symlink("y".repeat(200), "/long")?.code).toBe("ENOSPC");
  expect(task.setxattr("/file", "user.long", new Uint8Array(2000))?.code).toBe("ENOSPC");
  const fd = value(task.open("/file", O_RDWR)) as number;
  expect(task.fallocate(fd, 0, 4096, 8192)?.code).toBe("ENOSPC");
  // What needs no block has room.
  expect(task.symlink("short", "/short")).toBeUndefined();
  expect(task.mknod("/node", 0o644)).toBeUndefined();
  expect(task.setxattr("/file", "user.k", new Uint8Array(10))).toBeUndefined();
  expect(task.pwrite(fd, Content.text("within the block"), 10)).toBe(16);
  value(task.close(fd));
  host.check();
  let names = 0;
  let refused = task.mknod("/name", 0o644);
  for (; refused === undefined; names++) refused = task.mknod(`/name ${names} ${"-".repeat(100)}`, 0o644);
  expect(refused.code).toBe("ENOSPC");
  // What the root's one block has room for.
  expect(names).toBeGreaterThan(25);
  expect(names).toBeLessThan(40);
  host.check();
  value(task.truncate("/big", 4096 * 100));
  value(task.mkdir("/folder"));
  value(task.setxattr("/file", "user.long", new Uint8Array(2000)));
  host.check();
  const shown = [...everything(task).keys()];
  host = host.remount();
  host.check();
  expect([...everything(host.task).keys()]).toEqual(shown);
  host.unmount();
});

test("without inodes every creation gives ENOSPC, and an unlink makes room for one", () => {
  const host = new Ext4Host(ext4Disk(16 * MIB, { inodes: 32 }));
  const { task } = host;
  const { filesFree } = host.fs.statfs();
  expect(filesFree).toBe(21);
  for (let n = 0; n < filesFree; n++) value(task.mknod(`/${n}`, 0o644));
  expect(host.fs.statfs().filesFree).toBe(0);
  expect(task.mknod("/more", 0o644)?.code).toBe("ENOSPC");
  expect(task.mkdir("/more")?.code).toBe("ENOSPC");
  expect(task.symlink("target", "/more")?.code).toBe("ENOSPC");
  expect(isErrno(task.open("/", 0o20200002))).toBe(true);
  host.check();
  const fd = value(task.open("/3", O_RDWR)) as number;
  value(task.unlink("/3"));
  expect(task.mkdir("/more")?.code).toBe("ENOSPC");
  value(task.close(fd));
  value(task.mkdir("/more"));
  host.check();
  const again = host.remount();
  again.check();
  expect(again.fs.statfs().filesFree).toBe(0);
  again.unmount();
});

test("a write larger than memory goes through the page cache", () => {
  let host = new Ext4Host(ext4Disk(16 * MIB), { memoryPages: 3 });
  const content = Content.pattern(9, 3_000_001);
  expect(put(host.task, "/file", content, 777)).toBe(content.length);
  host.check();
  expect(host.cache.cachedPages).toBeLessThanOrEqual(3);
  put(host.task, "/other", Content.pattern(8, 100));
  host.clock.advance(seconds(40));
  host.check();
  host = host.remount({ memoryPages: 2 });
  const read = value(host.task.pread(value(host.task.open("/file", O_RDWR)) as number, 4_000_000, 777)) as Content;
  expect(read.equals(content)).toBe(true);
  host.check();
});

test.each([true, false])("fallocate of more than there is fails, and keeps what there was (size grows with it: %s)", (grows) => {
  const host = new Ext4Host(ext4Disk(16 * MIB));
  const { task } = host;
  const free = host.fs.statfs().blocksFree - 81;
  const fd = value(task.open("/f", O_CREAT | O_RDWR)) as number;
  const failed = task.fallocate(fd, grows ? 0 : FALLOC_FL_KEEP_SIZE, 5000, 64 * MIB);
  expect(isErrno(failed) ? failed.code : failed).toBe("ENOSPC");
  host.check();
  // All but what nobody can have; a range that begins within a block has that block too.
  expect(host.fs.statfs().blocksFree).toBeLessThanOrEqual(81);
  const size = (task.fstat(fd) as { size: number }).size;
  expect(size).toBe(grows ? (free + 1) * 4096 : 0);
  expect(isErrno(task.fallocate(fd, 0, 128 * MIB, 1))).toBe(true);
  value(task.close(fd));
  value(task.unlink("/f"));
  host.check();
  expect(host.fs.statfs().blocksFree).toBe(free + 81);
});

/** Writes 1 MiB where so much is free. @param refusals - how many allocations are refused meanwhile */
function written({ free, refusals }: { free: number; refusals: number }): { answer: unknown; asked: number } {
  const host = createHost();
  host.task.mkdir("/m");
  host.addDisk({ name: "vda", size: MEBIBYTES(64) });
  expect(host.mkfs("ext4", "vda", "-m 0")).toBeUndefined();
  expect(host.mount({ type: "ext4", source: "vda", target: "/m" })).toBeUndefined();
  const { task, allocations } = host;
  const rest = value(task.open("/m/rest", O_CREAT | O_RDWR)) as number;
  const { blocksAvailable, blockSize } = value(task.statfs("/m")) as StatFs;
  value(task.pwrite(rest, Content.zeros(blocksAvailable * blockSize - free), 0));
  const fd = value(task.open("/m/file", O_CREAT | O_RDWR)) as number;
  const before = allocations.count;
  allocations.fail(1, refusals);
  const answer = task.pwrite(fd, Content.pattern(1, MIB), 0);
  host.check();
  return { answer: isErrno(answer) ? answer.code : answer, asked: allocations.count - before };
}

test.each([
  { free: 2 * MIB, refusals: 0, answer: MIB, asked: 1 },
  // ext4_should_retry_alloc
  { free: 2 * MIB, refusals: 1, answer: MIB, asked: 2 },
  { free: 2 * MIB, refusals: 2, answer: "ENOSPC", asked: 2 },
  { free: 40_960, refusals: 0, answer: 40_960, asked: 2 },
  { free: 40_960, refusals: 1, answer: 40_960, asked: 2 },
  { free: 0, refusals: 0, answer: "ENOSPC", asked: 2 },
])("a write of 1 MiB with $free bytes free, refused $refusals times, asks once more and takes what there is", (row) => {
  const { answer, asked } = row;
  expect(written(row)).toEqual({ answer, asked });
});
