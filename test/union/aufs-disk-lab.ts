/** A lab of aufs whose branches are folders of a disk with a filesystem. */
import { MIB } from "../../sim/core/units.ts";
import type { AufsFileSystem } from "../../sim/union/aufs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, must, put } from "./aufs-lab.ts";

/** What a container sees, and the folders of its branches. */
interface Mounted {
  readonly lab: AufsLab;
  readonly task: Task;
  readonly fs: AufsFileSystem;
  readonly upper: string;
  readonly low: string;
}

/** Mounts a writable branch over one with files, both on one disk. @param lay - changes the lower branch first */
export function onDisk(
  type: string,
  files: Readonly<Record<string, string>>,
  lay?: (lab: AufsLab, low: string) => void,
): Mounted {
  const lab = new AufsLab();
  const disk = lab.host.addDisk({ size: MIB(512) });
  must(lab.task.mkdir("/disk", 0o755));
  must(lab.host.mkfs(type, disk.name) ?? 0);
  const failed = lab.host.mount({ type, source: disk.name, target: "/disk" });
  if (failed !== undefined) throw new Error(failed.message);
  const [upper, low] = ["/disk/up", "/disk/low"];
  for (const folder of [upper, low]) must(lab.task.mkdir(folder, 0o755));
  for (const [path, text] of Object.entries(files)) {
    if (path.endsWith("/")) must(lab.task.mkdir(`${low}/${path}`, 0o755));
    else put(lab.task, `${low}/${path}`, text);
  }
  lay?.(lab, low);
  const { task, fs } = lab.enter(`br:${upper}=rw:${low}=ro+wh,dirperm1`);
  return { lab, task, fs, upper, low };
}
