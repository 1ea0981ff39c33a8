/**
 * Growing a filesystem to a larger device: the figures of statfs beside those that the real tools leave (resize2fs 1.47, xfs_growfs 6.1 on
 * 6.18), everything that was there, and room for more.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { LinearDevice } from "../../sim/block/linear.ts";
import { Content } from "../../sim/core/content.ts";
import { EBUSY, ENOTSUP, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, GIB, MIB } from "../../sim/core/units.ts";
import { Host } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../drivers/docker-host.ts";

const MKFS: Readonly<Record<string, string>> = { ext4: "-E nodiscard,lazy_itable_init=0,lazy_journal_init=0", xfs: "" };

/** One disk that is seen in several sizes, as a device of each. */
class Growing {
  readonly host: Host = new Host();
  readonly #type: string;
  readonly #disk: Disk = new Disk({ size: GIB(64) });
  source = "";

  constructor(type: string, size: number) {
    this.#type = type;
    this.resize(size);
    must(this.host.mkfs(type, this.source, MKFS[type]));
    must(this.host.task.mkdir("/mnt", 0o755));
  }

  resize(size: number): void {
    this.source = `size-${size}`;
    this.host.addDevice(
      this.source,
      new LinearDevice(this.#disk, { name: this.source, start: 0, size }),
      deviceNumber(8, size % 97),
    );
  }

  mount(): void {
    expect(this.host.mount({ type: this.#type, source: this.source, target: "/mnt" })).toBeUndefined();
  }

  unmount(): void {
    must(this.host.unmount("/mnt"));
  }

  /** Grows to a size, and mounts. */
  grow(size: number): void {
    this.resize(size);
    expect(this.host.grow(this.#type, this.source)).toBeUndefined();
    this.mount();
  }

  write(name: string, size: number): void {
    const fd = must(this.host.task.open(`/mnt/${name}`, O_CREAT | O_RDWR, 0o644));
    expect(this.host.task.write(fd, Content.pattern(size % 1000, size))).toBe(size);
    this.host.task.close(fd);
  }

  digest(name: string, size: number): string {
    const fd = must(this.host.task.open(`/mnt/${name}`, O_RDWR));
    const content = must(this.host.task.read(fd, size));
    this.host.task.close(fd);
    return content.sha256();
  }

  figures(): readonly number[] {
    const { blocks, blocksFree, files, filesFree } = must(this.host.task.statfs("/mnt"));
    return [blocks, blocksFree, files, filesFree];
  }
}

describe("a filesystem that grows", () => {
  test.each([
    ["ext4", GIB(1), GIB(2), [507_098, 507_092, 131_072, 131_061]],
    ["ext4", GIB(10), GIB(20), [5_132_959, 5_132_953, 1_310_720, 1_310_709]],
    ["ext4", MIB(300), GIB(3), [743_654, 743_648, 614_400, 614_389]],
    ["ext4", MIB(1000), MIB(1500), [373_124, 373_118, 96_000, 95_989]],
    ["xfs", GIB(1), GIB(2), [507_904, 496_035, 1_048_576, 1_048_573]],
    ["xfs", GIB(10), GIB(25), [6_537_216, 6_483_280, 13_107_200, 13_107_197]],
    ["xfs", MIB(1000), MIB(1510), [370_176, 359_290, 773_120, 773_117]],
  ] as const)("%s from %d to %d bytes has the blocks and inodes of the real one", (type, from, to, want) => {
    const on = new Growing(type, from);
    on.mount();
    on.unmount();
    on.grow(to);
    expect(on.figures()).toEqual(want);
    on.host.check();
  });

  test.each(["ext4", "xfs"])("as %s keeps its files, takes more than it could before, and is whole after each step", (type) => {
    const on = new Growing(type, MIB(420));
    on.mount();
    on.write("before", MIB(9) + 5);
    const before = on.digest("before", MIB(10));
    on.unmount();
    for (const [step, size] of [MIB(700), MIB(700) + 8192, GIB(3), GIB(9)].entries()) {
      on.grow(size);
      expect(on.digest("before", MIB(10))).toBe(before);
      const [, free = 0] = on.figures();
      for (let part = 0; part < 8; part++) on.write(`more-${step}-${part}`, Math.floor(free / 10) * 4096);
      must(on.host.task.syncfs());
      on.host.check();
      on.unmount();
    }
    on.mount();
    expect(on.digest("before", MIB(10))).toBe(before);
    on.host.check();
  });

  test("has to be unmounted whole first, and be of a type that can", () => {
    const on = new Growing("ext4", MIB(420));
    on.mount();
    on.resize(MIB(600));
    expect(on.host.grow("ext4", on.source)).toBe(EBUSY);
    expect(on.host.grow("tmpfs", on.source)).toBe(ENOTSUP);
    on.unmount();
    expect(on.host.grow("ext4", on.source)).toBeUndefined();
    expect(isErrno(on.host.grow("ext4", on.source))).toBe(false);
  });
});
