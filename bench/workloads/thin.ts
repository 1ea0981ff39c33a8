/** The thin pool: provisioning writes, snapshots of volumes of any size, first fit in a pool that is nearly full, and what a mapped block weighs. */
import { memory, Series, shuffled, weigh } from "../measure.ts";
import type { MeasuredPool } from "../peer.ts";
import type { Bench } from "../workload.ts";

const PROVISIONS = 400_000;
/** Writes between two commits: about what a second brings. */
const COMMIT_EVERY = 50_000;

/**
 * Whole blocks written where nothing is mapped: one after the other, and scattered; with exact metadata, and where only data blocks are
 * counted. Commits are in it.
 */
export function provisioning(bench: Bench): void {
  const make = bench.peer.pool;
  if (make === undefined) return;
  const count = bench.count(PROVISIONS, 1000);
  const inOrder = Array.from({ length: count }, (_, index) => index);
  for (const [name, order, counted] of [
    ["sequential", inOrder, false],
    ["scattered", shuffled(inOrder), false],
    ["sequential-counted", inOrder, true],
    ["scattered-counted", shuffled(inOrder), true],
  ] as const) {
    const series = new Series(`thin-provision-${name}`, "block");
    for (let round = 0; round < PROVISION_ROUNDS; round++) {
      const pool = make({ dataBlocks: count + 1024, volumeBlocks: count, counted });
      pool.create(0);
      series.round(count, (from, to) => {
        for (let index = from; index < to; index++) {
          pool.write(0, order[index] as number);
          if (index % COMMIT_EVERY === COMMIT_EVERY - 1) pool.commit();
        }
      });
    }
    bench.report(series);
  }
}
/** The code is cold in the first ones. */
const PROVISION_ROUNDS = 5;

const SNAPSHOTS = 2000;

/** Snapshots of a volume with few and with many mapped blocks, and of one that has as many snapshots already: alone, and with a commit each. */
export function snapshots(bench: Bench): void {
  const make = bench.peer.pool;
  if (make === undefined) return;
  for (const [name, size] of [
    ["100", 100],
    ["10000", 10_000],
    ["400000", 400_000],
  ] as const) {
    const blocks = bench.count(size, 100);
    const pool = make({ dataBlocks: blocks + 1024, volumeBlocks: blocks });
    pool.create(0);
    for (let block = 0; block < blocks; block++) pool.write(0, block);
    pool.commit();
    const count = bench.count(SNAPSHOTS, 20);
    let id = 0;
    for (const commits of [false, true]) {
      const series = new Series(`thin-snapshot-of-${name}${commits ? "-committed" : ""}`, "snapshot");
      for (let round = 0; round < SNAPSHOT_ROUNDS; round++) {
        series.round(count, (from, to) => {
          for (let index = from; index < to; index++) {
            id += 1;
            pool.snapshot(0, id);
            if (commits) pool.commit();
          }
        });
        pool.commit();
      }
      bench.report(series);
    }
  }
}
/** The code is cold in the first ones. */
const SNAPSHOT_ROUNDS = 9;

const POOL_BLOCKS = 2 ** 20;
const FREE_SHARE = 0.01;
/** The code is cold in the first ones. */
const FIT_ROUNDS = 9;

/** The next free block of a pool whose free blocks, one in a hundred, lie scattered. */
export function firstFit(bench: Bench): void {
  const make = bench.peer.pool;
  if (make === undefined) return;
  const blocks = bench.count(POOL_BLOCKS, 2000);
  const pool = make({ dataBlocks: blocks, volumeBlocks: blocks });
  pool.create(0);
  for (let block = 0; block < blocks; block++) pool.write(0, block);
  pool.commit();
  const free = Math.floor(blocks * FREE_SHARE);
  const scattered = shuffled(Array.from({ length: blocks }, (_, block) => block));
  const series = new Series("thin-first-fit-99-full", "block");
  for (let round = 0; round < FIT_ROUNDS; round++) {
    for (const block of scattered.slice(round * free, (round + 1) * free)) pool.discard(0, block);
    pool.commit();
    memory();
    series.round(Math.max(1, free - 2), (from, to) => {
      for (let index = from; index < to; index++) pool.allocate();
    });
    pool.commit();
  }
  bench.report(series);
}

/** A pool of 1 TiB. */
const TIB_BLOCKS = 2 ** 24;
const DEVICES = 1000;
const BASE_BLOCKS = 3664;
const MAPPED_BLOCKS = 16_153_826;
/** Devices that write between two commits. */
const DEVICES_A_COMMIT = 3;

/** Devices over a shared base, 96 percent of the pool mapped by half scattered, half sequential writes: what a block weighs, and the process. */
export function memoryOfPool(bench: Bench): void {
  const make = bench.peer.pool;
  if (make === undefined) return;
  const devices = bench.count(DEVICES, 4);
  const volumeBlocks = TIB_BLOCKS / 1024;
  const each = Math.floor((MAPPED_BLOCKS - BASE_BLOCKS) / DEVICES);
  const scattered = shuffled(Array.from({ length: volumeBlocks }, (_, block) => block));
  const series = new Series("memory-thin-block", "block");
  let pool: MeasuredPool | undefined;
  const bytes = weigh(() => {
    const made = make({ dataBlocks: TIB_BLOCKS, volumeBlocks });
    pool = made;
    made.create(0);
    for (let block = 0; block < BASE_BLOCKS; block++) made.write(0, block);
    for (let id = 1; id <= devices; id++) made.snapshot(0, id);
    series.whole(devices * each, () => {
      for (let id = 1; id <= devices; id++) {
        for (let index = 0; index < each; index++) made.write(id, id % 2 === 0 ? index : (scattered[index] as number));
        if (id % DEVICES_A_COMMIT === 0) made.commit();
      }
      made.commit();
    });
    return devices * each;
  });
  pool?.commit();
  bench.report(series.weigh(bytes));
}
