/** Random changes of a subvolume, and what trees and send streams say of them, for tests. */
import fc from "fast-check";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type BtrfsLab, must } from "./btrfs-lab.ts";

/** What depends on the sender: its uuids and transactions, and times of changes. */
export function neutral(lines: readonly string[]): string[] {
  return lines.map((line) =>
    line
      .replace(/uuid=[0-9a-f-]+/g, "uuid=U")
      .replace(/transid=\d+/g, "transid=T")
      .replace(/ ctime=\S+/, "")
      .replace(/\bo(\d+)-\d+-/g, "o$1-G-")
      .replace(/ +/g, " "),
  );
}

interface Step {
  readonly kind: number;
  readonly one: number;
  readonly other: number;
  readonly length: number;
}

/** Everything below a folder: names, types, owners, links, contents and xattrs. */
export function treeOf(task: Task, top: string, folder: string = top, out: string[] = []): string[] {
  for (const { name } of must(task.readdir(folder)).sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = `${folder}/${name}`;
    const of = must(task.lstat(path));
    const type = of.mode & S_IFMT;
    let content = type === S_IFLNK ? must(task.readlink(path)) : "";
    if (type === S_IFREG) {
      const fd = must(task.open(path, O_RDONLY));
      content = must(task.pread(fd, of.size, 0)).sha256();
      task.close(fd);
    }
    const xattrs = must(task.llistxattr(path)).sort().join(",");
    out.push(
      `${path.slice(top.length)} ${of.mode.toString(8)} ${of.uid} ${of.nlink} ${type === S_IFDIR ? "" : of.size} ${content} ${xattrs}`,
    );
    if (type === S_IFDIR) treeOf(task, top, path, out);
  }
  return out;
}

/** A random change of a tree. */
export const STEP: fc.Arbitrary<Step> = fc.record({
  kind: fc.integer({ min: 0, max: 11 }),
  one: fc.integer({ min: 0, max: 11 }),
  other: fc.integer({ min: 0, max: 11 }),
  length: fc.integer({ min: 0, max: 70_000 }),
});

/** Makes a change in the subvolume /m/s. @param salt - what is written. */
export function change(lab: BtrfsLab, step: Step, salt: number): void {
  const { task } = lab.host;
  const folders = ["/m/s", "/m/s/d0", "/m/s/d1", "/m/s/d0/e", "/m/s/d1/e", "/m/s/d0/e/g"];
  const path = (n: number): string => `${folders[n % folders.length]}/${n < 6 ? "f" : "h"}`;
  const folder = (n: number): string => folders[1 + (n % 5)] as string;
  const { kind, one, other, length } = step;
  if (kind <= 1) task.mkdir(folder(one), 0o750);
  else if (kind <= 4) lab.write(path(one), Content.pattern(salt, length), (other % 3) * 5000);
  else if (kind === 5) task.rename(folder(one), folder(other));
  else if (kind === 6) task.rename(path(one), path(other));
  else if (kind === 7) task.link(path(one), path(other));
  else if (kind === 8) task.unlink(path(one));
  else if (kind === 9) task.rmdir(folder(one));
  else if (kind === 10) task.symlink(`t${other}`, path(one));
  else {
    task.truncate(path(one), length);
    task.setxattr(path(one), `user.x${other % 2}`, Uint8Array.of(salt & 0xff));
    task.chmod(path(one), 0o600 + (other % 8));
  }
}

const SECTOR = 4096;

/** Makes a change of the data of four files in /m/s: writes, shared extents, holes, preallocation, other sizes. */
export function changeData(lab: BtrfsLab, { kind, one, other, length }: Step, salt: number): void {
  const { task } = lab.host;
  const path = `/m/s/f${one % 4}`;
  const sectors = 1 + (length % 9);
  if (kind <= 3) lab.write(path, Content.pattern(salt, length), (other % 6) * (kind === 3 ? 5000 : SECTOR));
  else if (kind <= 7)
    share(lab, path, `/m/s/f${other % 4}`, { from: (length % 7) * SECTOR, to: (length % 11) * SECTOR, sectors, kind });
  else {
    const fd = task.open(path, O_RDWR);
    if (isErrno(fd)) return;
    if (kind === 8) task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (other % 5) * SECTOR, sectors * SECTOR);
    else if (kind === 9) task.fallocate(fd, other % 2 === 0 ? FALLOC_FL_KEEP_SIZE : 0, (other % 12) * SECTOR, sectors * SECTOR);
    else task.ftruncate(fd, other % 2 === 0 ? length : sectors * SECTOR);
    task.close(fd);
  }
}

/** Makes a file share another one's extents: all of them, or some sectors. */
function share(
  { host: { task } }: BtrfsLab,
  source: string,
  target: string,
  what: { readonly from: number; readonly to: number; readonly sectors: number; readonly kind: number },
): void {
  const from = task.open(source, O_RDONLY);
  if (isErrno(from)) return;
  const to = task.open(target, O_RDWR | O_CREAT, 0o600);
  if (!isErrno(to)) {
    if (what.kind === 4) task.clone(from, to);
    else {
      task.lseek(from, what.from, 0);
      task.lseek(to, what.to, 0);
      task.copyFileRange(from, to, what.sectors * SECTOR);
    }
    task.close(to);
  }
  task.close(from);
}
