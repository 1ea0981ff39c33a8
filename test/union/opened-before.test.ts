/**
 * A file that was opened to be read before it was copied up: what is asked of the open file goes to the copy (ovl_real_file, au_do_open), which must
 * be opened for it. Where that fails, the call does.
 */
import { expect, test } from "vitest";
import { EIO, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { Tmpfs } from "../../sim/fs/tmpfs.ts";
import { createHost } from "../../sim/host.ts";
import { type FileHandle, type FileSystem, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must, put } from "./aufs-lab.ts";

const GROUNDS: Readonly<Record<string, string>> = {
  overlay: "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low",
  aufs: "br:/b/up=rw:/b/low=ro+wh",
};

interface Opened {
  readonly fs: FileSystem;
  readonly file: FileHandle;
  readonly other: FileHandle;
}

/** Calls on the open file, and what they answer while the copy cannot be opened. */
const CALLS: Readonly<Record<string, readonly [call: (of: Opened) => unknown, told: unknown, byAufs?: number]>> = {
  read: [({ fs, file }) => fs.read(file, 0, 1), EIO],
  write: [({ fs, file, other }) => fs.write(file, 0, fs.read(other, 0, 1) as never), EIO],
  fallocate: [({ fs, file }) => fs.fallocate(file, 0, 0, 1), EIO],
  // The position is the union's own matter in aufs.
  seek: [({ fs, file }) => fs.seek(file, 0, true), EIO, 5],
  "clone from it": [({ fs, file, other }) => fs.clone(file, 0, other, 0, 0), EIO],
  "clone to it": [({ fs, file, other }) => fs.clone(other, 0, file, 0, 0), EIO],
  "count its pages": [({ fs, file }) => fs.cachedPages(file), 0],
  "drop its pages": [({ fs, file }) => fs.dropPages(file), undefined],
  "tell its furthest position": [({ fs, file }) => fs.positionMax?.(file), undefined],
};

for (const [type, options] of Object.entries(GROUNDS)) {
  test.each(Object.entries(CALLS))(
    `on ${type} %s fails while the copy cannot be opened, and not later`,
    (_name, [call, told, byAufs = told]) => {
      const host = createHost();
      const { task } = host;
      task.umask = 0;
      for (const path of ["/b", "/m"]) must(task.mkdir(path, 0o755));
      const backing: FileSystem = new Tmpfs(host, { device: deviceNumber(0, 99), mode: 0o755 });
      let broken = false;
      const layer = new Proxy(backing, {
        get(target, key): unknown {
          const value: unknown = Reflect.get(target, key, target);
          if (typeof value !== "function") return value;
          return (...given: unknown[]): unknown => (broken && key === "open" ? EIO : value.apply(target, given));
        },
      });
      must(host.vfs.mount(task, layer, "/b"));
      for (const folder of ["up", "work", "low"]) must(task.mkdir(`/b/${folder}`, 0o755));
      for (const name of ["f", "g"]) put(task, `/b/low/${name}`, "12345");
      expect(host.mount({ type, source: "none", target: "/m", options })).toBeUndefined();
      const opened = (path: string, flags: number): FileHandle =>
        (must(task.files.file(must(task.open(path, flags)))) as { handle: FileHandle }).handle;
      const of = { fs: must(task.resolve("/m")).mount.fs, file: opened("/m/f", O_RDONLY), other: opened("/m/g", O_RDWR) };
      must(task.chmod("/m/f", 0o600));
      broken = true;
      expect(call(of)).toBe(type === "aufs" ? byAufs : told);
      broken = false;
      expect(call(of)).not.toBe(EIO);
      expect(isErrno(of.fs.read(of.file, 0, 1))).toBe(false);
      of.fs.check();
    },
  );
}
