/**
 * Files of zfs at their edges: holes, sizes, fallocate and SEEK_HOLE as OpenZFS 2.1 has them (module/zfs/zfs_vnops.c, module/os/linux/zfs/zpl_file.c).
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { KIB } from "../../sim/core/units.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

function mounted(): { lab: ZfsLab; files: Files; pool: ReturnType<ZfsLab["create"]> } {
  const lab = new ZfsLab();
  const pool = lab.create();
  return { lab, pool, files: new Files(lab, lab.mount(pool, "tank")) };
}

test.each([
  ["one block", 8, KIB(300)],
  ["many blocks", KIB(256), KIB(128) * 1024 * 3],
])(
  "what lies between the end of a file of %s and a write far behind it are zeros, before its group is written and after",
  (_, length, offset) => {
    const { files, pool } = mounted();
    files.write("/f", Content.pattern(1, length));
    pool.syncIfDirty();
    files.write("/f", Content.text("end"), offset);
    const file = must(files.fs.open(must(files.find("/f")), 0));
    const between = (): string[] => {
      const at = [length, KIB(128), KIB(256), offset - KIB(128)].filter((one) => one >= length);
      return at.map((from) => must(files.fs.read(file, from, KIB(4))).sha256());
    };
    const zeros = between().map(() => Content.zeros(KIB(4)).sha256());
    expect(between()).toEqual(zeros);
    const hole = files.fs.seek(file, KIB(128), true);
    pool.syncIfDirty();
    expect(between()).toEqual(zeros);
    expect(files.fs.seek(file, KIB(128), true)).toBe(hole);
  },
);
