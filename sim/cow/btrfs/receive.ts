/**
 * Receiving a send stream into a mounted btrfs by system calls, as `btrfs receive` does (btrfs-progs 6.2 cmds/receive.c).
 *
 * Interface: the subvolume is made in the given folder under the stream's name for it, and read-only when the stream has ended.
 */
import { assert } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import { EINVAL, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import { deviceNumber } from "../../core/units.ts";
import { type Inode, O_RDONLY, O_RDWR, S_IFIFO, S_IFSOCK } from "../../vfs/filesystem.ts";
import type { Task } from "../../vfs/task.ts";
import { Btrfs } from "./btrfs.ts";
import { listSubvolumes, makeSnapshot, makeSubvolume, setReceived, subvolumeIdOf } from "./ioctl.ts";
import type { Command, CommandAttributes } from "./stream.ts";

/** Where a stream goes. */
export interface Receiving {
  readonly task: Task;
  /** A folder of the filesystem. */
  readonly folder: string;
  /** Where the filesystem's own top is mounted, from which subvolumes' paths are told. */
  readonly top: string;
}

/** A command that failed. */
export interface ReceiveFailure {
  readonly command: Command;
  readonly errno: Errno;
}

type AttributeNames = readonly (keyof CommandAttributes)[];

/** What each command must have, beside what the stream's own end and the sender's notes need not (btrfs-progs common/send-stream.c: TLV_GET). */
const NEEDED: Readonly<Record<Command["name"], AttributeNames>> = {
  subvol: ["path", "uuid", "ctransid"],
  snapshot: ["path", "uuid", "ctransid", "clone_uuid"],
  mkfile: ["path"],
  mkdir: ["path"],
  mknod: ["path", "mode", "rdev"],
  mkfifo: ["path"],
  mksock: ["path"],
  symlink: ["path", "path_link"],
  rename: ["path", "path_to"],
  link: ["path", "path_link"],
  unlink: ["path"],
  rmdir: ["path"],
  set_xattr: ["path", "xattr_name", "xattr_data"],
  remove_xattr: ["path", "xattr_name"],
  write: ["path", "file_offset", "data"],
  clone: ["path", "file_offset", "clone_len", "clone_uuid", "clone_path", "clone_offset"],
  truncate: ["path", "size"],
  chmod: ["path", "mode"],
  chown: ["path", "uid", "gid"],
  utimes: ["path", "atime", "mtime"],
  end: [],
  update_extent: ["path", "file_offset", "size"],
};

/** Attributes of which those that the command needs are there. */
type Given = Required<CommandAttributes>;

class Receiver {
  readonly #task: Task;
  readonly #to: Receiving;
  readonly #fs: Btrfs;
  readonly #folder: Inode;
  #root = "";
  #identity: { uuid: string; stransid: number } | undefined;

  constructor(to: Receiving, fs: Btrfs, folder: Inode) {
    this.#task = to.task;
    this.#to = to;
    this.#fs = fs;
    this.#folder = folder;
  }

  #path(path: string | undefined): string {
    return path === undefined || path === "" ? this.#root : `${this.#root}/${path}`;
  }

  /** @returns the error of the call that the command asks for; ENOENT where an attribute is not there that it needs. */
  perform({ name, attributes: known }: Command): Errno | undefined {
    if (NEEDED[name].some((attribute) => known[attribute] === undefined)) return ENOENT;
    const attributes = known as Given;
    const task = this.#task;
    const path = this.#path(attributes.path);
    switch (name) {
      case "subvol":
      case "snapshot":
        return this.#begin(name === "snapshot", attributes);
      case "end":
        return this.#end();
      case "rename":
        return task.rename(path, this.#path(attributes.path_to));
      case "link":
        return task.link(this.#path(attributes.path_link), path);
      case "unlink":
        return task.unlink(path);
      case "rmdir":
        return task.rmdir(path);
      case "write":
        return this.#write(path, attributes.file_offset, attributes.data);
      case "clone":
        return this.#clone(path, attributes);
      case "truncate":
        return task.truncate(path, attributes.size);
      case "chmod":
        return task.chmod(path, attributes.mode);
      case "chown":
        return task.lchown(path, attributes.uid, attributes.gid);
      case "utimes":
        return task.utimens(path, attributes.atime, attributes.mtime, true);
      case "set_xattr":
        return task.lsetxattr(path, attributes.xattr_name, attributes.xattr_data);
      case "remove_xattr":
        return task.lremovexattr(path, attributes.xattr_name);
      case "update_extent":
        return undefined;
      default:
        return this.#make(name, path, attributes);
    }
  }

  /** Whatever is made has no rights until the chmod that follows, as the tool leaves it. */
  #make(
    name: "mkfile" | "mkdir" | "mknod" | "mkfifo" | "mksock" | "symlink",
    path: string,
    attributes: Given,
  ): Errno | undefined {
    const task = this.#task;
    switch (name) {
      case "mkfile":
        return task.mknod(path, 0o100600);
      case "mkdir":
        return task.mkdir(path, 0o700);
      case "symlink":
        return task.symlink(attributes.path_link, path);
      case "mkfifo":
        return task.mknod(path, S_IFIFO | 0o600);
      case "mksock":
        return task.mknod(path, S_IFSOCK | 0o600);
      default: {
        const rdev = attributes.rdev;
        const minor = (rdev & 0xff) + Math.floor(rdev / 2 ** 20) * 256;
        return task.mknod(path, attributes.mode & 0o170000, deviceNumber((rdev >>> 8) & 0xfff, minor));
      }
    }
  }

  #write(path: string, offset: number, data: Uint8Array): Errno | undefined {
    const fd = this.#task.open(path, O_RDWR);
    if (isErrno(fd)) return fd;
    const done = this.#task.pwrite(fd, Content.literal(data), offset);
    this.#task.close(fd);
    return isErrno(done) ? done : undefined;
  }

  /** The path of a subvolume here that was made, or received, as that one. */
  #pathOf(uuid: string | undefined): string | undefined {
    if (uuid === this.#identity?.uuid) return this.#root;
    const all = listSubvolumes(this.#fs);
    // Which transaction the sender says is not looked at (btrfs-progs 6.2: subvol_uuid_search).
    const found = all.find(({ item }) => item.receivedUuid === uuid) ?? all.find(({ item }) => item.uuid === uuid);
    return found === undefined ? undefined : `${this.#to.top}/${found.path}`;
  }

  #begin(isSnapshot: boolean, attributes: Given): Errno | undefined {
    const name = attributes.path;
    const interned = this.#fs.state.environment.names.intern(name);
    let made: number | Errno;
    if (!isSnapshot) made = makeSubvolume(this.#fs, this.#folder, interned);
    else {
      const parent = this.#pathOf(attributes.clone_uuid);
      const source = parent === undefined ? ENOENT : this.#task.resolve(parent);
      if (isErrno(source)) return source;
      made = makeSnapshot(this.#fs, source.inode, this.#folder, { name: interned, readOnly: false });
    }
    if (isErrno(made)) return made;
    this.#root = `${this.#to.folder}/${name}`;
    this.#identity = { uuid: attributes.uuid, stransid: attributes.ctransid };
    return undefined;
  }

  #clone(path: string, attributes: Given): Errno | undefined {
    const root = this.#pathOf(attributes.clone_uuid);
    if (root === undefined) return ENOENT;
    const source = this.#task.open(`${root}/${attributes.clone_path}`, O_RDONLY);
    if (isErrno(source)) return source;
    const target = this.#task.open(path, O_RDWR);
    if (isErrno(target)) {
      this.#task.close(source);
      return target;
    }
    const from = this.#task.files.file(source);
    const to = this.#task.files.file(target);
    assert(!isErrno(from) && !isErrno(to), "files that were just opened are open");
    const { clone_offset, file_offset, clone_len } = attributes;
    const failed = this.#fs.clone(from.handle, clone_offset, to.handle, file_offset, clone_len);
    this.#task.close(source);
    this.#task.close(target);
    return failed;
  }

  #end(): Errno | undefined {
    const place = this.#task.resolve(this.#root);
    if (isErrno(place) || this.#identity === undefined) return EINVAL;
    return setReceived(this.#fs, subvolumeIdOf(this.#fs, place.inode), this.#identity);
  }
}

/** Receives a stream. @returns the first command that fails, and why; EINVAL where the folder is on no btrfs. */
export function receive(to: Receiving, commands: readonly Command[]): ReceiveFailure | Errno | undefined {
  const place = to.task.resolve(to.folder);
  if (isErrno(place)) return place;
  if (!(place.mount.fs instanceof Btrfs)) return EINVAL;
  const receiver = new Receiver(to, place.mount.fs, place.inode);
  for (const command of commands) {
    const errno = receiver.perform(command);
    if (errno !== undefined) return { command, errno };
  }
  return undefined;
}
