/**
 * What truncate(2) writes of a file that it copies up on xfs, where the copy shares its blocks: Linux 6.18, data blocks behind a syncfs (the block layer). The
 * copy's file is closed behind the cut (fput is put off to the end of the call), so that what the cut takes away is not written back before.
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { GIB, nanoseconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../fs/disk-helpers.ts";

/** Bytes of file data written when a lower file of 5,000 bytes is cut to a size. */
function written(size: number): number {
  const host = createHost();
  const { task } = host;
  const disk = host.addDisk({ size: GIB(2) });
  must(host.mkfs("xfs", "vda"));
  for (const folder of ["/disk", "/union"]) must(task.mkdir(folder, 0o755));
  must(host.mount({ type: "xfs", source: "vda", target: "/disk" }));
  for (const folder of ["lower", "upper", "work"]) must(task.mkdir(`/disk/${folder}`, 0o755));
  const fd = must(task.open("/disk/lower/f", O_RDWR | O_CREAT, 0o644));
  must(task.pwrite(fd, Content.pattern(1, 5000), 0));
  must(task.close(fd));
  const { fs } = must(task.resolve("/disk")).mount;
  must(
    host.mount({
      type: "overlay",
      source: "o",
      target: "/union",
      options: "lowerdir=/disk/lower,upperdir=/disk/upper,workdir=/disk/work",
    }),
  );
  host.clock.advance(nanoseconds(1e8));
  must(fs.sync());
  let bytes = 0;
  disk.watcher = (command) => {
    if (command.kind === "write" && command.content.kind !== "record") bytes += command.content.length;
  };
  must(task.truncate("/union/f", size));
  must(fs.sync());
  host.check();
  return bytes;
}

test.each([
  ["a block less: its last block goes", 4096, 0],
  ["more: the rest of the old last block is zeroed", 6000, 4096],
  ["one byte: the rest of that block is zeroed", 1, 4096],
])("to %s", (_what, size, bytes) => {
  expect(written(size)).toBe(bytes);
});
