/**
 * The bridge to memfs: its volumes and their JSON as layers, and a container's files as a volume.
 *
 * Interface: memfs itself is not imported. A volume is whatever has the few functions of node:fs that are listed here, so that any version of
 * memfs will do, and any other filesystem of that shape.
 */
import { posix } from "node:path";
import { timeFromNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_WRONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { systemError } from "./errors.ts";
import type { Lower } from "./lower.ts";

/** What lstatSync of a volume tells that is of use here. */
interface VolumeStats {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly ino: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
}

/** A volume that can be read. */
export interface ReadableVolume {
  readdirSync(path: string): readonly unknown[];
  lstatSync(path: string): unknown;
  readFileSync(path: string): unknown;
  readlinkSync(path: string): unknown;
}

/** A volume that can be written. */
export interface WritableVolume {
  mkdirSync(path: string, options: { recursive: true }): unknown;
  writeFileSync(path: string, data: Uint8Array): unknown;
  symlinkSync(target: string, path: string): unknown;
  linkSync(path: string, to: string): unknown;
  chmodSync(path: string, mode: number): unknown;
  chownSync(path: string, uid: number, gid: number): unknown;
  utimesSync(path: string, atime: number, mtime: number): unknown;
  lutimesSync(path: string, atime: number, mtime: number): unknown;
}

interface Filling {
  readonly task: Task;
  readonly volume: ReadableVolume;
  /** The first name of a file with several, by its number. */
  readonly links: Map<number, string>;
}

/**
 * A memfs volume as a layer: names, contents, modes, owners, times, symbolic and hard links.
 * @param top - the folder of the volume that becomes the layer's root; default "/"
 */
export function fromMemfs(volume: ReadableVolume, top = "/"): Lower {
  return { fill: (task) => fillFolder({ task, volume, links: new Map() }, top, "/") };
}

function fillFolder(filling: Filling, from: string, to: string): void {
  for (const name of filling.volume.readdirSync(from)) {
    fillEntry(filling, posix.join(from, String(name)), posix.join(to, String(name)));
  }
}

function done<T>(result: T, syscall: string, path: string): T {
  if (isErrno(result)) throw systemError(result, syscall, { path });
  return result;
}

function fillEntry(filling: Filling, from: string, to: string): void {
  const { task, volume, links } = filling;
  const of = volume.lstatSync(from) as VolumeStats;
  const type = of.mode & S_IFMT;
  const first = type === S_IFDIR || of.nlink < 2 ? undefined : links.get(of.ino);
  if (first !== undefined) {
    done(task.link(first, to), "link", to);
    return;
  }
  links.set(of.ino, to);
  if (type === S_IFDIR) {
    done(task.mkdir(to, 0o700), "mkdir", to);
    fillFolder(filling, from, to);
  } else if (type === S_IFLNK) done(task.symlink(String(volume.readlinkSync(from)), to), "symlink", to);
  else if (type === S_IFREG) {
    const fd = done(task.open(to, O_WRONLY | O_CREAT, 0o600), "open", to) as number;
    done(task.write(fd, Content.copyOf(volume.readFileSync(from) as Uint8Array)), "write", to);
    task.close(fd);
  } else return;
  task.lchown(to, of.uid, of.gid);
  if (type !== S_IFLNK) task.chmod(to, of.mode & 0o7777);
  task.utimens(to, timeOfMs(of.atimeMs), timeOfMs(of.mtimeMs), true);
}

function timeOfMs(ms: number): ReturnType<typeof timeFromNanoseconds> {
  return timeFromNanoseconds(BigInt(Math.round(ms * 1000)) * 1000n);
}

/** The files of a container, as nodeFs or overlayFs give them. */
type Source = ReadableVolume;

/**
 * Writes the merged view of a container, or a folder of it, into a volume, which should be empty.
 * @param volume - such as `new Volume()` of memfs
 * @param top - the folder that becomes the volume's root; default "/"
 * @returns the volume
 */
export function toMemfs<V extends WritableVolume>(fs: Source, volume: V, top = "/"): V {
  const links = new Map<number, string>();
  const copy = (from: string, to: string): void => {
    for (const entry of fs.readdirSync(from)) {
      const name = String(entry);
      copyEntry({ fs, volume, links }, posix.join(from, name), posix.join(to, name), copy);
    }
  };
  volume.mkdirSync("/", { recursive: true });
  copy(top, "/");
  return volume;
}

interface Copying {
  readonly fs: Source;
  readonly volume: WritableVolume;
  readonly links: Map<number, string>;
}

function copyEntry({ fs, volume, links }: Copying, from: string, to: string, into: (from: string, to: string) => void): void {
  const of = fs.lstatSync(from) as VolumeStats;
  const type = of.mode & S_IFMT;
  const first = type === S_IFDIR || of.nlink < 2 ? undefined : links.get(of.ino);
  if (first !== undefined) {
    volume.linkSync(first, to);
    return;
  }
  links.set(of.ino, to);
  if (type === S_IFDIR) {
    volume.mkdirSync(to, { recursive: true });
    into(from, to);
  } else if (type === S_IFREG) volume.writeFileSync(to, fs.readFileSync(from) as Uint8Array);
  else if (type === S_IFLNK) {
    volume.symlinkSync(String(fs.readlinkSync(from)), to);
    volume.lutimesSync(to, of.atimeMs / 1000, of.mtimeMs / 1000);
    return;
  } else return;
  volume.chmodSync(to, of.mode & 0o7777);
  volume.chownSync(to, of.uid, of.gid);
  volume.utimesSync(to, of.atimeMs / 1000, of.mtimeMs / 1000);
}
