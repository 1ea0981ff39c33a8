/**
 * Every call that changes something (protected.ts) on a filesystem that can change nothing any more: one whose log or last group could not be written,
 * and one that finds no block or inode for anything. Each call is refused with an error that says so, or needs nothing; none is half done.
 */
import { describe, expect, test } from "vitest";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_RDWR } from "../../sim/vfs/filesystem.ts";
import { CHANGES, done, laidOut, type Place, synced } from "./protected.ts";
import { shown } from "./varied-work.ts";

const TYPES = ["ext4", "xfs", "btrfs", "zfs"];

function mounted(type: string): { host: Host; device: FaultyDevice } {
  const host = createHost();
  host.task.umask = 0;
  host.task.mkdir("/m");
  const device = new FaultyDevice(host.addDisk({ size: MIB(512) }));
  host.addDevice("faulty", device, deviceNumber(253, 1));
  done(host.mkfs(type, "faulty"));
  expect(host.mount({ type, source: "faulty", target: "/m" })).toBeUndefined();
  return { host, device };
}

function opened(host: Host, folder: string): Place {
  const { task } = host;
  return { task, folder, f: done(task.open(`${folder}/f`, O_RDWR)), g: done(task.open(`${folder}/g`, O_RDWR)) };
}

function code(got: unknown): string {
  return isErrno(got) ? got.code : "ok";
}

/** Calls that change nothing on the device, or nothing yet. */
const HARMLESS =
  /^(open to (write|append)|open without atime|create what is there|set no time|mkdir where a folder is|unlink what is not there|ask for|chown to nobody new)/;

describe.each(TYPES)("%s", (type) => {
  test("that could not write its log refuses what would change it from then on, and shows what it showed", () => {
    const { host, device } = mounted(type);
    laidOut(host.task, "/m/folder");
    done(synced(host.task));
    const of = opened(host, "/m/folder");
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    device.inject({ on: "flush", times: Number.POSITIVE_INFINITY });
    done(host.task.chmod("/m/folder/g", 0o600));
    expect(code(synced(host.task))).toBe("EIO");
    const before = shown(host.task);
    const wrong: string[] = [];
    for (const [name, change] of Object.entries(CHANGES)) {
      const got = code(change(of));
      const refused = /^(EROFS|EIO|ENOTSUP|ENOSPC)$/.test(got);
      if (!refused && !HARMLESS.test(name) && type !== "zfs") wrong.push(`${name}: ${got}`);
    }
    // zfs suspends its pool: calls gather in the open group, which is never written.
    expect(wrong).toEqual([]);
    if (type !== "zfs") expect(shown(host.task)).toEqual(before);
  });

  test("in which no allocation succeeds refuses what needs one with ENOSPC, and its books add up", () => {
    const { host } = mounted(type);
    const wrong: string[] = [];
    let refusals = 0;
    for (const [at, [name, change]] of Object.entries(CHANGES).entries()) {
      const folder = `/m/${at}`;
      laidOut(host.task, folder);
      done(synced(host.task));
      const of = opened(host, folder);
      const before = shown(host.task, folder);
      host.allocations.fail(1, Number.POSITIVE_INFINITY);
      const got = code(change(of));
      host.allocations.heal();
      if (got === "ENOSPC") {
        refusals += 1;
        if (shown(host.task, folder).join() !== before.join()) wrong.push(`${name} is half done`);
      } else if (!/^(ok|EEXIST|ENOENT|ENOTSUP|EINVAL)$/.test(got)) wrong.push(`${name}: ${got}`);
      try {
        host.check();
      } catch (error) {
        throw new Error(`after "${name}", which gave ${got}`, { cause: error });
      }
    }
    expect(wrong).toEqual([]);
    expect(refusals).toBeGreaterThan(5);
  });
});
