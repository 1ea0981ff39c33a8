/** A disk that fills in the middle of a write(2): it tells how much it wrote, and whoever wants all of it asks once more and is told why not. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { unpackLayer } from "../../src/archive/unpack.ts";
import { writeAll } from "../../src/calls/write-all.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

const TOO_MUCH: number = MIB(200);

/** A process whose root is an ext4 of 96 MiB. */
function onSmallDisk(): Task {
  const host = createHost();
  host.task.mkdir("/m");
  host.addDisk({ name: "vda", size: MIB(96) });
  expect(host.mkfs("ext4", "vda")).toBeUndefined();
  expect(host.mount({ type: "ext4", source: "vda", target: "/m" })).toBeUndefined();
  return host.task.chroot("/m") as Task;
}

test("one write(2) tells how much found room, and writeAll that not all did", () => {
  const task = onSmallDisk();
  const fd = task.open("/f", O_WRONLY | O_CREAT) as number;
  const written = task.write(fd, Content.pattern(1, TOO_MUCH)) as number;
  expect(written).toBeGreaterThan(MIB(60));
  expect(written).toBeLessThan(MIB(96));
  expect(task.ftruncate(fd, 0)).toBeUndefined();
  expect(writeAll(task, fd, Content.pattern(1, TOO_MUCH))).toBe(ENOSPC);
  expect(writeAll(task, fd, Content.empty)).toBeUndefined();
});

test("a layer of which a file finds room for a part is not unpacked", () => {
  const writer = new TarWriter();
  writer.add(tarHeader({ name: "f", size: TOO_MUCH }), Content.pattern(1, TOO_MUCH));
  const unpacked = unpackLayer(onSmallDisk(), { entries: readTar(writer.end(), { mode: "docker" }), mode: "docker" }, "merge");
  expect(unpacked).toMatchObject({ errno: ENOSPC });
});

test.each(["{ populate: /d, files: 1, size: 200MiB }", "{ write: /f, size: 200MiB, content: random }"])(
  "%s ends a build for which the disk is too small",
  (action) => {
    const text = `version: 1
name: small
about: A file that is too large
drivers: [overlay2, btrfs, zfs]
host: { backing: ext4, device: 128MiB }
images: { app: { layers: [[${action}]] } }
containers: { c: { image: app } }
steps: [{ in: c, do: { stat: / } }]
`;
    const { drivers } = runScenario(loadScenario(text, "small.yaml"), { makeWorld });
    expect(drivers.map(({ stopped }) => stopped?.why)).toEqual(drivers.map(() => expect.stringMatching(/: ENOSPC$/)));
  },
);
