/**
 * Which rules `explain` names for what happened: each by an event of the engine that keeps it.
 */
import { expect, test } from "vitest";
import type { SimEvent } from "../../sim/core/events.ts";
import { makeWorld } from "../../src/index.ts";
import { rulesFor } from "../../src/report/rules.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { runScenario } from "../../src/scenario/run.ts";

/** The events of a step's work in a container of an image with `/data`, 1 MiB, on a driver. */
function eventsOf(driver: string, steps: string, container = "{ image: base }"): readonly SimEvent[] {
  const scenario = loadScenario(
    `version: 1
name: sharing
about: What the image and the container share.
drivers: [${driver}]
host: { device: 4GiB }
images: { base: { layers: [{ write: /data, size: 1MiB }] } }
containers: { c: ${container} }
steps:
${steps}
`,
    "sharing.yaml",
  );
  const events: SimEvent[] = [];
  const run = runScenario(scenario, {
    makeWorld,
    onEvent: ({ phase, stamped }) => {
      if (phase === "steps") events.push(stamped.event);
    },
  });
  expect(run.drivers.map(({ stopped }) => stopped?.why)).toEqual([undefined]);
  return events;
}

const POKE = `
  - { in: c, do: { open: /data, flags: O_RDWR, as: fd } }
  - { in: c, do: { pwrite: $fd, offset: 512KiB, size: 1 } }
  - { in: c, do: { fsync: $fd } }`;

const ids = (events: readonly SimEvent[]): readonly string[] => rulesFor(events).map(({ id }) => id);

test("a write to a block that the image's device shares is told as breaking its sharing, with what was copied", () => {
  const events = eventsOf("devicemapper", POKE);
  expect(ids(events)).toContain("thin.break-sharing");
  const broken = events.filter((event) => event.op === "thinBreak");
  expect(broken.length).toBeGreaterThan(0);
  expect(broken.every(({ copied, source, block }) => copied === 65_536 && source !== block)).toBe(true);
});

test("a new file on a thin volume takes blocks of the pool", () => {
  expect(
    ids(eventsOf("devicemapper", "  - { in: c, do: { write: /new, size: 1MiB } }\n  - { in: c, do: { sync: filesystem } }")),
  ).toContain("thin.provision");
});

test.each([
  ["btrfs", "btrfs.quota"],
  ["zfs", "zfs.quota"],
])("on %s what does not fit a container's size is told by %s", (driver, rule) => {
  const fill = `
  - { in: c, do: { write: /x, size: 12MiB, content: random } }
  - { in: c, do: { sync: filesystem } }
  - { in: c, do: { write: /y, size: 12MiB, content: random } }`;
  expect(ids(eventsOf(driver, fill, "{ image: base, size: 16MiB }"))).toContain(rule);
});

test("a file that finds no room on the disk tells what ENOSPC can mean", () => {
  expect(ids(eventsOf("overlay2", "  - { in: c, do: { write: /x, size: 5GiB, content: random } }"))).toContain("space.none");
});

test("a pool without space tells its mode", () => {
  const mode = { op: "poolMode", device: "pool", mode: "outOfDataSpace" } as const;
  expect(ids([mode])).toEqual(["thin.no-space"]);
  expect(ids([{ ...mode, mode: "write" }])).toEqual([]);
});

test("btrfs leaves the extent that the image's subvolume uses, and says so", () => {
  const events = eventsOf("btrfs", POKE);
  expect(events.filter((event) => event.op === "extentDrop")).toMatchObject([{ blocks: 1, left: "shared" }]);
  expect(ids(events)).toContain("btrfs.cow");
});

test("btrfs keeps the whole extent of which a file still uses a part, and frees one that nobody uses", () => {
  const own = `
  - { in: c, do: { write: /own, size: 1MiB } }
  - { in: c, do: { sync: filesystem } }
  - { in: c, do: { truncate: /own, size: 512KiB } }
  - { in: c, do: { unlink: /own } }
  - { in: c, do: { sync: filesystem } }`;
  const dropped = eventsOf("btrfs", own).filter((event) => event.op === "extentDrop");
  expect(dropped).toMatchObject([
    { blocks: 128, left: "part" },
    { blocks: 128, left: "free" },
  ]);
});

test("a snapshot's keeping of a block is told by the block's birth, and a block of the container's own is freed", () => {
  const again = `
  - { in: c, do: { pwrite: $fd, offset: 512KiB, size: 1 } }
  - { in: c, do: { fsync: $fd } }
  - { in: c, do: { sync: filesystem } }`;
  const events = eventsOf("zfs", `${POKE}\n  - { in: c, do: { sync: filesystem } }${again}`);
  const [kept] = events.filter((event) => event.op === "blockKeep");
  expect(kept).toMatchObject({ bytes: 131_072 });
  expect(kept?.op === "blockKeep" && kept.birth <= kept.snapshot).toBe(true);
  expect(events.filter((event) => event.op === "blockFree")).toMatchObject([{ bytes: 131_072 }]);
  expect(ids(events)).toEqual(expect.arrayContaining(["zfs.record", "zfs.birth"]));
});

test("a block that the image's dataset wrote is found in the ARC by the container's", () => {
  const events = eventsOf("zfs", "  - { in: c, do: { read: /data } }");
  expect(events.filter((event) => event.op === "arcHit").length).toBe(8);
  expect(events.some((event) => event.op === "arcMiss")).toBe(false);
  expect(ids(events)).toContain("zfs.arc");
});

test("EXDEV is explained by the filesystem that answered it", () => {
  const call = { op: "call", process: "c", call: "rename", arguments: "/a /b", result: "EXDEV", since: 0 } as const;
  const told = ["overlay", "aufs", "btrfs", "zfs", "ext4"].map((filesystem) => ids([{ ...call, filesystem }]));
  expect(told).toEqual([
    ["ovl.rename.lower-dir"],
    ["aufs.rename.children"],
    ["btrfs.subvolume"],
    ["zfs.dataset"],
    ["vfs.cross-mount"],
  ]);
});
