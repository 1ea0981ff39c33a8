/** What truncate(2) does to a file's times, as Linux 6.18 answered on ext4, xfs and btrfs of its own. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { MIB, seconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../../src/testing/expect.ts";

/** Whether mtime and ctime move. */
const RECORDED = [
  { type: "ext4", truncate: [true, true], ftruncate: [true, true] },
  { type: "xfs", truncate: [false, false], ftruncate: [true, true] },
  { type: "btrfs", truncate: [false, false], ftruncate: [true, true] },
];

test.each(RECORDED)(
  "on $type, truncate(2) and ftruncate(2) to the size that is there move the times that they do there",
  ({ type, truncate, ftruncate }) => {
    const host = createHost();
    host.addDisk({ name: "vda", size: MIB(512) });
    host.mkfs(type, "vda");
    const { task } = host;
    must(task.mkdir("/m", 0o755));
    expect(host.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
    const fd = must(task.open("/m/f", O_CREAT | O_RDWR, 0o644));
    must(task.write(fd, Content.text("text")));
    const moves = (call: () => unknown): boolean[] => {
      const before = must(task.fstat(fd));
      host.clock.advance(seconds(2));
      expect(call()).toBeUndefined();
      const after = must(task.fstat(fd));
      return [after.mtime.seconds !== before.mtime.seconds, after.ctime.seconds !== before.ctime.seconds];
    };
    expect(moves(() => task.truncate("/m/f", 4))).toEqual(truncate);
    expect(moves(() => task.ftruncate(fd, 4))).toEqual(ftruncate);
    expect(moves(() => task.truncate("/m/f", 2))).toEqual([true, true]);
    host.check();
  },
);
