/** Stores into mappings of files on zfs: pages that wait in the page cache, beside the blocks (zpl_file.c, zfs_putpage; a recorded history has the figures). */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { KIB, MIB, seconds } from "../../sim/core/units.ts";
import { zfsCreate } from "../../sim/cow/zfs/commands.ts";
import { O_RDWR } from "../../sim/vfs/filesystem.ts";
import { againAfterCut, Files, must, ZfsLab } from "./zfs-lab.ts";

function start(): {
  lab: ZfsLab;
  disk: Disk;
  files: Files;
  used(): number;
  store(path: string, offset: number, text: string): void;
} {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(256) });
  const pool = lab.create({ tops: [[disk]] });
  expect(zfsCreate(pool, "tank/a")).toBeUndefined();
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  must(files.write("/f", Content.pattern(1, KIB(64))));
  pool.syncGroup();
  return {
    lab,
    disk,
    files,
    used: () => {
      pool.syncIfDirty();
      return pool.root.children.get("a")?.head.referenced ?? 0;
    },
    store: (path, offset, text) => {
      const handle = must(files.fs.open(must(files.find(path)), O_RDWR));
      expect(files.fs.writeMapped(handle, offset, Content.text(text))).toBe(text.length);
      files.fs.close(handle, O_RDWR);
    },
  };
}

const text = (content: Content, offset: number, length: number): string =>
  new TextDecoder().decode(content.slice(offset, offset + length).toBytes());

test("a store is read at once, and written when somebody asks for it, or after thirty seconds", () => {
  const { lab, disk, files, store, used } = start();
  must(files.fs.fallocate(must(files.fs.open(files.make("/sparse"), O_RDWR)), 0, 0, MIB(1)));
  const before = used();
  store("/sparse", 10, "stored");
  expect(text(files.read("/sparse"), 9, 8)).toBe("\0stored\0");
  expect(used()).toBe(before);
  expect(text(againAfterCut(disk).read("/f"), 0, 0)).toBe("");
  lab.clock.advance(seconds(40));
  expect(used()).toBeGreaterThan(before + KIB(64));
});

test("fsync writes what was stored before it, and a power cut keeps that", () => {
  const { disk, files, store } = start();
  store("/f", 5000, "stored");
  must(files.write("/f", Content.text("written"), 5003));
  expect(text(files.read("/f"), 5000, 10)).toBe("stowritten");
  files.fsync("/f");
  expect(text(againAfterCut(disk).read("/f"), 5000, 10)).toBe("stowritten");
});

test("what is cut off is not written any more", () => {
  const { files, store, used } = start();
  const before = used();
  store("/f", 60_000, "stored");
  must(files.fs.setattr(must(files.find("/f")), { size: 10 }));
  files.fs.sync();
  expect(files.read("/f").length).toBe(10);
  expect(used()).toBe(before);
  files.fs.check();
});
