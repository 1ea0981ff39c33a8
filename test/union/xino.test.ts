/** Inode numbers of an overlay over several filesystems with xino: which filesystem's they are stands in the high bits (asked of Linux 6.18). */
import { expect, test } from "vitest";
import { MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { must } from "./aufs-lab.ts";

/** A host with three ext4, each with a folder that has a file of its own. */
function prepared(): Host {
  const host = createHost();
  must(host.task.mkdir("/m"));
  for (const name of ["e1", "e2", "e3"]) {
    const disk = host.addDisk({ size: MIB(64) });
    must(host.mkfs("ext4", disk.name));
    must(host.task.mkdir(`/${name}`));
    expect(host.mount({ type: "ext4", source: disk.name, target: `/${name}` })).toBeUndefined();
    for (const folder of ["low", "up", "work"]) must(host.task.mkdir(`/${name}/${folder}`));
    must(host.task.mknod(`/${name}/low/of-${name}`, 0o100644));
  }
  return host;
}

/** What stands above an inode's own number, by the name of its filesystem. */
function ids(host: Host, layers: string): Record<string, number> {
  expect(host.mount({ type: "overlay", source: "o", target: "/m", options: `${layers},xino=on` })).toBeUndefined();
  const found: Record<string, number> = {};
  for (const { name } of must(host.task.readdir("/m"))) {
    const own = must(host.task.lstat(`/${name.slice(3)}/low/${name}`)).inodeNumber;
    found[name.slice(3)] = must(host.task.lstat(`/m/${name}`)).inodeNumber - own;
  }
  must(host.unmount("/m"));
  return found;
}

test.each([
  ["lowerdir=/e2/low,upperdir=/e1/up,workdir=/e1/work", { e2: 2 ** 33 }],
  ["lowerdir=/e1/low:/e2/low:/e3/low,upperdir=/e1/up,workdir=/e1/work", { e1: 0, e2: 2 ** 33, e3: 2 * 2 ** 33 }],
  ["lowerdir=/e2/low:/e3/low", { e2: 2 ** 33, e3: 2 * 2 ** 33 }],
])("of ext4 with %s, from bit 33 on, the upper layer's being none", (layers, expected) => {
  const host = prepared();
  expect(ids(host, layers)).toEqual(expected);
  host.check();
});

test("with a filesystem of larger numbers among them, above all that they may need", () => {
  const host = prepared();
  must(host.task.mkdir("/t1"));
  expect(host.mount({ type: "tmpfs", source: "t", target: "/t1" })).toBeUndefined();
  must(host.task.mkdir("/t1/low"));
  must(host.task.mknod("/t1/low/of-t1", 0o100644));
  expect(ids(host, "lowerdir=/t1/low:/e2/low,upperdir=/e1/up,workdir=/e1/work")).toEqual({ t1: 2 ** 44, e2: 2 * 2 ** 44 });
});
