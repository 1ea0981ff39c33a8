/**
 * Random pools against plain maps: devices, snapshots, writes, discards, deletes, power cuts. Whatever was committed passes thin_check and
 * is dumped by thin_dump as the model has it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { DeviceModel } from "../../sim/thin/model.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { readImage, thinCheck, thinDump, thinLs, thinRestore } from "../../src/thin/commands.ts";
import { type DeltaRange, deltaRanges, thinDelta, thinRmap } from "../../src/thin/compare.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";
import {
  BLOCK,
  type Disks,
  disks,
  HAS_TOOLS,
  IMAGE,
  image,
  OTHER_IMAGE,
  openPool,
  openVolume,
  sectors,
  tools,
} from "./thin-lab.ts";

const DEVICES = 6;
const BLOCKS = 700;
const VOLUME_BLOCKS = 1024;

type Op =
  | { readonly kind: "create" | "delete"; readonly id: number }
  | { readonly kind: "snap"; readonly id: number; readonly origin: number }
  | {
      readonly kind: "write" | "discard";
      readonly id: number;
      readonly sector: number;
      readonly count: number;
      readonly tag: number;
    }
  | {
      readonly kind: "many";
      readonly id: number;
      readonly from: number;
      readonly step: number;
      readonly count: number;
      readonly tag: number;
    }
  | { readonly kind: "flush"; readonly id: number }
  | { readonly kind: "cut" | "hold" | "release" };

const id = fc.nat(DEVICES - 1);
const tag = fc.integer({ min: 1, max: 255 });
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("create" as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), id }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("snap" as const), id, origin: id }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("write" as const, "write" as const, "discard" as const),
      id,
      sector: fc.nat(64 * 128),
      count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(128), fc.integer({ min: 1, max: 700 })),
      tag,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("many" as const),
      id,
      from: fc.nat(VOLUME_BLOCKS - 1),
      step: fc.integer({ min: 1, max: 7 }),
      count: fc.integer({ min: 1, max: 300 }),
      tag,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("flush" as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("cut" as const, "hold" as const, "release" as const) }) },
);

/** A device's sectors that are not zero, by their number. */
type Sectors = Map<number, number>;

class Twin {
  disks: Disks = disks({ data: BLOCKS, metadata: 1024 });
  pool: ThinPool = openPool(this.disks);
  readonly volumes = new Map<number, ThinVolume>();
  /** What each device holds now, and at the last commit or flush. */
  model = new Map<number, Sectors>();
  durable = new Map<number, Sectors>();

  settle(): void {
    this.durable = new Map([...this.model].map(([device, content]) => [device, new Map(content)]));
  }

  volume(device: number): ThinVolume {
    const open = this.volumes.get(device) ?? openVolume(this.pool, device, VOLUME_BLOCKS);
    this.volumes.set(device, open);
    return open;
  }

  close(device: number): void {
    this.volumes.get(device)?.close();
    this.volumes.delete(device);
  }

  cut(): void {
    this.disks.data.powerCut(keepNone);
    this.disks.metadata.powerCut(keepNone);
    this.volumes.clear();
    this.pool = openPool(this.disks);
    this.model = new Map([...this.durable].map(([device, content]) => [device, new Map(content)]));
  }

  message(text: string, ok: boolean): boolean {
    const failed = sendMessage(this.pool, text);
    expect([text, failed === undefined]).toEqual([text, ok]);
    if (failed === undefined) this.settle();
    return failed === undefined;
  }

  /** Writes as far as there is space: a pool that is full fails the write and keeps what it has. */
  write(device: number, sector: number, content: Content): void {
    const { counters } = this.pool;
    const before = counters.commits;
    const failed = this.volume(device).write(bytes(sector * 512), content);
    expect(failed).toBeUndefined();
    const mine = this.model.get(device) as Sectors;
    for (let at = 0; at < content.length / 512; at++) mine.set(sector + at, content.byteAt(at * 512));
    expect(counters.commits).toBe(before);
  }

  make(one: Op): void {
    const room = this.pool.metadata.freeDataBlocks;
    switch (one.kind) {
      case "create":
        if (this.message(`create_thin ${one.id}`, !this.model.has(one.id))) {
          this.model.set(one.id, new Map());
          this.settle();
        }
        break;
      case "snap": {
        const origin = this.model.get(one.origin);
        if (this.message(`create_snap ${one.id} ${one.origin}`, !this.model.has(one.id) && origin !== undefined)) {
          this.model.set(one.id, new Map(origin));
          this.settle();
        }
        break;
      }
      case "delete":
        this.close(one.id);
        if (this.message(`delete ${one.id}`, this.model.has(one.id))) {
          this.model.delete(one.id);
          this.settle();
        }
        break;
      case "write":
        if (this.model.has(one.id) && room > 10) this.write(one.id, one.sector, sectors(one.tag, one.count));
        break;
      case "many":
        if (!this.model.has(one.id) || room <= one.count + 1) break;
        for (let n = 0; n < one.count; n++) {
          this.write(one.id, ((one.from + n * one.step) % VOLUME_BLOCKS) * 128, sectors(one.tag, 1));
        }
        break;
      case "discard":
        this.discard(one.id, one.sector, one.count);
        break;
      case "flush":
        if (!this.model.has(one.id)) break;
        expect(this.volume(one.id).flush()).toBeUndefined();
        // The data disk is flushed for all; the mappings of others are not committed unless this device changed.
        this.pool.commit();
        this.settle();
        break;
      case "cut":
        this.cut();
        break;
      default:
        if (sendMessage(this.pool, one.kind === "hold" ? "reserve_metadata_snap" : "release_metadata_snap") === undefined)
          this.settle();
        else if (one.kind === "hold") this.settle();
    }
  }

  discard(device: number, sector: number, count: number): void {
    const mine = this.model.get(device);
    if (mine === undefined) return;
    expect(this.volume(device).discard(bytes(sector * 512), bytes(count * 512))).toBeUndefined();
    for (let block = Math.ceil(sector / 128); (block + 1) * 128 <= sector + count; block++) {
      for (let at = 0; at < 128; at++) mine.delete(block * 128 + at);
    }
  }

  /** Every sector of every device. */
  compare(): void {
    for (const [device, content] of this.model) {
      const volume = this.volume(device);
      const touched = new Set([...content.keys()].map((sector) => Math.floor(sector / 128)));
      for (const block of touched) {
        const read = volume.read(bytes(block * BLOCK), bytes(BLOCK));
        if (isErrno(read)) throw new Error(read.code);
        for (let at = 0; at < 128; at++) expect(read.byteAt(at * 512)).toBe(content.get(block * 128 + at) ?? 0);
      }
    }
  }

  close_all(): void {
    for (const device of [...this.volumes.keys()]) this.close(device);
    this.pool.close();
  }
}

const FIELDS = "DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,TRANSACTION,CREATE_TIME,SNAP_TIME";
const REGIONS = [
  { begin: 0, end: 40 },
  { begin: 100, end: 101 },
  { begin: 30, end: 60 },
  { begin: 300, end: 700 },
];

/** What we say of an image beside what the tools say, all of them asked at once. */
function judge(raw: Uint8Array): void {
  const disk = new Disk({ size: raw.length });
  disk.write(bytes(0), Content.literal(raw));
  const dump = readImage(disk);
  if ("exitCode" in dump) throw new Error(dump.err);
  compareDevices(dump.devices);
  const check = thinCheck(disk);
  const mine = thinDump(disk);
  expect(check.exitCode).toBe(0);
  const again = new Disk({ size: raw.length });
  expect(thinRestore(again, mine.out).exitCode).toBe(0);
  expect(thinDump(again).out).toBe(mine.out);
  if (!HAS_TOOLS) return;
  const [left, right] = [dump.devices[0]?.id, dump.devices.at(-1)?.id];
  const ids = ["--snap1", String(left), "--snap2", String(right)];
  const asked = [
    ["thin_check", IMAGE],
    ["thin_dump", IMAGE],
    ["thin_ls", "-o", FIELDS, IMAGE],
    ["thin_rmap", ...REGIONS.flatMap(({ begin, end }) => ["--region", `${begin}..${end}`]), IMAGE],
    ["thin_check", OTHER_IMAGE],
    ...(left === undefined
      ? []
      : [
          ["thin_delta", ...ids, IMAGE],
          ["thin_delta", "--verbose", ...ids, IMAGE],
        ]),
  ];
  const told = tools(asked, raw, image(again));
  const restored = thinCheck(again);
  expect(told.slice(0, 5)).toEqual([
    { out: check.out, err: check.err, code: 0 },
    { out: mine.out, err: "", code: 0 },
    { out: thinLs(disk, { format: FIELDS, headers: true }).out, err: "", code: 0 },
    { out: thinRmap(disk, REGIONS).out, err: "", code: 0 },
    { out: restored.out, err: restored.err, code: 0 },
  ]);
  if (left === undefined || right === undefined) return;
  expect(told.slice(5).map(({ out }) => out)).toEqual(
    [false, true].map((verbose) => thinDelta(disk, { left, right, verbose }).out),
  );
}

/** The figures of thin_delta beside those of the maps themselves. */
function compareDevices(devices: readonly DeviceModel[]): void {
  const [left, right] = [devices[0], devices.at(-1)];
  if (left === undefined || right === undefined) return;
  for (const [one, other] of [
    [left, right],
    [right, left],
    [left, left],
  ] as const) {
    expect(sums(deltaRanges(one.runs, other.runs))).toEqual(sumsOfMaps(mapOf(one), mapOf(other)));
  }
}

function mapOf({ runs: all }: DeviceModel): ReadonlyMap<number, number> {
  return new Map(all.flatMap(({ origin, data, length }) => Array.from({ length }, (_, at) => [origin + at, data + at] as const)));
}

type Sums = Record<DeltaRange["kind"], number>;

function sums(ranges: readonly DeltaRange[]): Sums {
  const out: Sums = { left_only: 0, right_only: 0, same: 0, different: 0 };
  for (const { kind, length } of ranges) out[kind] += length;
  return out;
}

function sumsOfMaps(left: ReadonlyMap<number, number>, right: ReadonlyMap<number, number>): Sums {
  const out: Sums = { left_only: 0, right_only: 0, same: 0, different: 0 };
  for (const [virtual, data] of left)
    out[!right.has(virtual) ? "left_only" : right.get(virtual) === data ? "same" : "different"] += 1;
  for (const virtual of right.keys()) if (!left.has(virtual)) out.right_only += 1;
  return out;
}

/** Devices that share a leaf: thin_rmap tells its mappings once. */
const SHARED_LEAF: Op[] = [
  { kind: "create", id: 4 },
  { kind: "write", id: 4, sector: 0, count: 1, tag: 1 },
  { kind: "snap", id: 0, origin: 4 },
  { kind: "flush", id: 4 },
];

test(
  "a pool holds what was written to each device, and its committed metadata is what the thin tools want",
  () => {
    fc.assert(
      fc.property(fc.array(op, { minLength: 5, maxLength: 60 }), (ops) => {
        const twin = new Twin();
        for (const one of ops) twin.make(one);
        twin.compare();
        checkPool(twin.pool);
        twin.close_all();
        judge(image(twin.disks.metadata));
      }),
      { ...runs(16), examples: [[SHARED_LEAF]] },
    );
  },
  PROPERTY_MILLISECONDS,
);
