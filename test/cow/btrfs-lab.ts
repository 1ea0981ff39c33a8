/** A host with a btrfs on /m, and what btrfs's tools do to it, for tests. */
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type BtrfsProfile, k6_18 } from "../../sim/core/kernel-profile.ts";
import { type Bytes, deviceNumber, GIB, KIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { makeSnapshot, makeSubvolume, removeSubvolume, subvolumeIdOf, syncAll } from "../../sim/cow/btrfs/ioctl.ts";
import { enableQuota } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";

export class BtrfsLab {
  readonly host: Host;
  readonly options: string;
  readonly device: FaultyDevice;
  readonly source: string;

  constructor(
    how: {
      size?: Bytes;
      sectorSize?: Bytes;
      options?: string;
      profile?: BtrfsProfile;
      memory?: Bytes;
      fresh?: boolean;
      /** A device that fails where a test says so lies between. */
      faulty?: boolean;
    } = {},
  ) {
    this.host = createHost({ seed: 3, memory: how.memory ?? GIB(1), kernel: { ...k6_18, btrfs: how.profile ?? k6_18.btrfs } });
    this.options = how.options ?? "";
    const disk = this.host.addDisk({ size: how.size ?? GIB(4), sectorSize: how.sectorSize ?? KIB(0.5) });
    this.device = new FaultyDevice(disk);
    if (how.faulty === true) this.host.addDevice("faulty", this.device, deviceNumber(253, 1));
    this.source = how.faulty === true ? "faulty" : "vda";
    must(this.host.mkfs("btrfs", this.source));
    must(this.host.task.mkdir("/m", 0o755));
    // A fresh one has never been mounted.
    if (how.fresh !== true) this.mount();
  }

  mount(): void {
    const failed = this.host.mount({ type: "btrfs", source: this.source, target: "/m", options: this.options });
    if (failed !== undefined) throw new Error(failed.message);
  }

  get fs(): Btrfs {
    const place = must(this.host.task.resolve("/m"));
    if (!(place.mount.fs instanceof Btrfs)) throw new Error("/m is no btrfs");
    return place.mount.fs;
  }

  #inode(path: string): Parameters<typeof makeSubvolume>[1] {
    return must(this.host.task.resolve(path)).inode;
  }
  #split(path: string): [string, ReturnType<Host["names"]["intern"]>] {
    const slash = path.lastIndexOf("/");
    return [path.slice(0, slash), this.host.names.intern(path.slice(slash + 1))];
  }

  subvolume(path: string, groups: readonly number[] = []): number | Errno {
    const [directory, name] = this.#split(path);
    return makeSubvolume(this.fs, this.#inode(directory), name, groups);
  }
  snapshot(source: string, path: string, readOnly = false, groups: readonly number[] = []): number | Errno {
    const [directory, name] = this.#split(path);
    return makeSnapshot(this.fs, this.#inode(source), this.#inode(directory), { name, readOnly, groups });
  }
  remove(path: string): Errno | undefined {
    const [directory, name] = this.#split(path);
    return removeSubvolume(this.fs, this.#inode(directory), name);
  }
  id(path: string): number {
    return subvolumeIdOf(this.fs, this.#inode(path));
  }
  quota(): void {
    must(enableQuota(this.fs));
  }

  /** Writes, as pwrite(2) to a file that is made if it is missing. */
  write(path: string, content: Content | string, offset = 0): number | Errno {
    const { task } = this.host;
    const fd = task.open(path, O_RDWR | O_CREAT, 0o644);
    if (isErrno(fd)) return fd;
    const done = task.pwrite(fd, typeof content === "string" ? Content.text(content) : content, offset);
    task.close(fd);
    return done;
  }

  read(path: string): string {
    const { task } = this.host;
    const fd = must(task.open(path, 0));
    const content = must(task.pread(fd, must(task.stat(path)).size, 0));
    task.close(fd);
    return content.sha256();
  }

  /** Everything is written, the cleaner has worked: the figures afterwards. */
  settle(): { data: number; metadata: number; free: number; groups: string } {
    must(syncAll(this.fs));
    const { data, metadata } = usage(this.fs.state);
    const groups = [...(this.fs.state.quotas?.groups.values() ?? [])].map(
      (one) => `${one.id}:${one.referenced}/${one.exclusive}`,
    );
    return { data: data.used, metadata: metadata.used, free: this.fs.statfs().blocksFree, groups: groups.join(" ") };
  }
}

export function must<T>(result: T | Errno): T {
  if (isErrno(result)) throw new Error(result.code);
  return result;
}
