/**
 * A device that fails one command, or all from one on, while a filesystem is made, mounted, worked with or ended: every command of each kind in
 * turn. No engine breaks; the first answer that is not the sound one is an error that a device's error gives; the books add up; and when the
 * device is sound again the filesystem is mounted as it was made durable last.
 */
import { describe, expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { type Fault, FaultyDevice } from "../../sim/block/faulty.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { changing, codeOf, making, type Work } from "./varied-work.ts";

/** ext4 reads bitmaps when they are first asked for, and takes one that cannot be read for an empty one (other blocks: ext4-unreadable.test.ts). */
const KINDS: Readonly<Record<string, readonly Fault["on"][]>> = {
  ext4: ["write", "flush", "discard"],
  xfs: ["read", "write", "flush", "discard"],
  btrfs: ["read", "write", "flush", "discard"],
  zfs: ["read", "write", "flush", "discard"],
};
const SIZE = MIB(400);
/** Little memory: what was read must be read again. */
const MEMORY = MIB(1);
/** What a device that fails may make a call answer; where no superblock, label or pool can be read none is there. */
const DECLARED = /^(EIO|EROFS|ENOSPC|EUCLEAN|EINVAL|ENXIO|ENOENT)$/;

const OPTIONS: Readonly<Record<string, string>> = { ext4: "discard", xfs: "discard" };

interface Machine {
  readonly host: Host;
  readonly device: FaultyDevice;
}

function machine(disk: Disk): Machine {
  const host = createHost({ memory: MEMORY });
  host.task.umask = 0;
  host.task.mkdir("/m");
  host.attachDisk(disk);
  const device = new FaultyDevice(disk);
  host.addDevice("faulty", device, deviceNumber(253, 1));
  return { host, device };
}

function fresh(): Disk {
  return createHost().addDisk({ name: "disk", size: SIZE });
}

/** A filesystem's life in three parts, each of which begins with a machine that starts. */
const PARTS: readonly { name: string; run: (of: Machine, type: string, lasts: boolean) => unknown[] }[] = [
  { name: "made", run: ({ host }, type) => [codeOf(host.mkfs(type, "faulty"))] },
  { name: "filled", run: (of, type, lasts) => mounted(of, type, { work: making, lasts }) },
  { name: "changed", run: (of, type, lasts) => mounted(of, type, { work: changing, lasts }) },
];

/** @param lasts - whether the fault does: then the books, some of which are on the device, cannot be looked at */
function mounted({ host }: Machine, type: string, { work, lasts }: { readonly work: Work; readonly lasts: boolean }): unknown[] {
  const failed = host.mount({ type, source: "faulty", target: "/m", options: OPTIONS[type] ?? "" });
  if (failed !== undefined) return [codeOf(failed)];
  const answers = work(host.task);
  if (!lasts) host.check();
  const ended = codeOf(host.unmount("/m"));
  return ["", ...answers, ended];
}

/** What each part begins with, what it answers on a sound device, and how many commands of each kind it gives. */
function sound(type: string) {
  let disk = fresh();
  return PARTS.map(({ name, run }) => {
    const before = disk.clone();
    const of = machine(disk);
    const { reads, writes, flushes, discards } = disk.counters;
    const answers = run(of, type, false);
    const { counters } = disk;
    const commands = {
      read: counters.reads - reads,
      write: counters.writes - writes,
      flush: counters.flushes - flushes,
      discard: counters.discards - discards,
    };
    disk = disk.clone();
    return { name, run, before, answers, commands };
  });
}

/** An error that a device's error gives, or less written than was to be. */
function declared(got: unknown, sound: unknown): boolean {
  return DECLARED.test(String(got)) || (typeof got === "number" && typeof sound === "number" && got < sound);
}

/** How many runs a part may have of each kind. */
const RUNS_MAX = 5;

describe.each(Object.entries(KINDS))("%s on a device that fails", (type, kinds) => {
  test.each(sound(type))("while it is $name", ({ run, before, answers, commands }) => {
    const wrong: unknown[] = [];
    let struck = 0;
    for (const on of kinds) {
      const every = Math.max(1, Math.floor((2 * commands[on]) / RUNS_MAX));
      for (let at = 1; at <= commands[on]; at += every) {
        for (const times of [1, Number.POSITIVE_INFINITY]) {
          const found = findings({ on, at, times });
          if (found !== undefined) wrong.push([on, at, times, found]);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(struck).toBeGreaterThan(0);

    function findings(fault: Fault): string | undefined {
      const disk = before.clone();
      const of = machine(disk);
      of.device.inject(fault);
      try {
        const got = run(of, type, fault.times !== 1);
        const first = got.findIndex((one, index) => one !== answers[index]);
        if (of.device.failed > 0) struck += 1;
        if (first >= 0 && !declared(got[first], answers[first]))
          return `answers ${String(got[first])}, not ${String(answers[first])}`;
        if (run !== PARTS[0]?.run) return again(disk);
      } catch (error) {
        return String((error as Error).stack)
          .split("\n")
          .slice(0, 4)
          .join("|");
      }
      return undefined;
    }

    /** The machine starts again with the disk as it is. */
    function again(disk: Disk): string | undefined {
      const { host } = machine(disk.clone());
      const failed = host.mount({ type, source: "faulty", target: "/m" });
      if (failed !== undefined) return `cannot be mounted again: ${codeOf(failed)} ${failed.message}`;
      host.check();
      return undefined;
    }
  });
});
