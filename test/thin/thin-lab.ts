/**
 * A pool on two disks, its volumes, and the machine's thin tools where they are installed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { type PoolOptions, parsePoolTable, TargetError } from "../../sim/thin/pool-options.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";

export const BLOCK = 65_536;

export function table(...features: string[]): PoolOptions["table"] {
  const parsed = parsePoolTable(["meta", "data", "128", "0", String(features.length), ...features]);
  if (parsed instanceof TargetError) throw new Error(parsed.reason);
  return parsed;
}

export interface Disks {
  readonly data: Disk;
  readonly metadata: Disk;
}

/** @param sizes - blocks of 64 KiB and of 4 KiB. */
export function disks(sizes: { readonly data: number; readonly metadata: number }): Disks {
  return {
    data: new Disk({ name: "data", size: sizes.data * BLOCK }),
    metadata: new Disk({ name: "meta", size: sizes.metadata * 4096 }),
  };
}

export function openPool(devices: Pick<PoolOptions, "data" | "metadata">, options: Partial<PoolOptions> = {}): ThinPool {
  const pool = ThinPool.open({ name: "pool", table: table(), ...devices, ...options });
  if (pool instanceof TargetError) throw new Error(`${pool.errno.code} ${pool.reason}`);
  return pool;
}

export function openVolume(pool: ThinPool, id: number, blocks = 1024): ThinVolume {
  const volume = ThinVolume.open(pool, { name: `thin${id}`, id, size: blocks * BLOCK });
  if (volume instanceof TargetError) throw new Error(`${volume.errno.code} ${volume.reason}`);
  return volume;
}

/** Sectors of one byte. */
export function sectors(byte: number, count: number): Content {
  return Content.repeat(Uint8Array.of(byte), count * 512);
}

/** Everything that a disk holds. */
export function image(disk: Disk): Uint8Array {
  const content = disk.read(bytes(0), disk.size);
  if (isErrno(content)) throw new Error(content.code);
  return content.toBytes();
}

/** Whether the thin tools are installed. */
export const HAS_TOOLS: boolean = spawnSync("thin_check", ["--version"]).status === 0;

/** What a tool said. */
export interface Told {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** What stands for the image, or for the other one, in the words of a call of `tools`. */
export const IMAGE = "image";
export const OTHER_IMAGE = "other-image";

/** Runs several of them on an image and perhaps another one, by one process of ours for all. */
export function tools(calls: readonly (readonly string[])[], raw: Uint8Array, other?: Uint8Array): readonly Told[] {
  const folder = mkdtempSync(join(tmpdir(), "thin-image-"));
  try {
    writeFileSync(join(folder, IMAGE), raw);
    if (other !== undefined) writeFileSync(join(folder, OTHER_IMAGE), other);
    const script = calls.map((words, at) => `${words.join(" ")} >out${at} 2>err${at}; echo $? >code${at}`).join("\n");
    spawnSync("sh", ["-c", script], { cwd: folder });
    const read = (name: string): string => readFileSync(join(folder, name), "utf8");
    return calls.map((_, at) => ({ out: read(`out${at}`), err: read(`err${at}`), code: Number(read(`code${at}`)) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs one of them on several images, by one process of ours for all. */
export function toolOnEach(name: string, raws: readonly Uint8Array[]): readonly Told[] {
  const folder = mkdtempSync(join(tmpdir(), "thin-images-"));
  try {
    for (const [at, raw] of raws.entries()) writeFileSync(join(folder, `image${at}`), raw);
    const script = raws.map((_, at) => `${name} image${at} >out${at} 2>err${at}; echo $? >code${at}`).join("\n");
    spawnSync("sh", ["-c", script], { cwd: folder });
    const read = (file: string): string => readFileSync(join(folder, file), "utf8");
    return raws.map((_, at) => ({ out: read(`out${at}`), err: read(`err${at}`), code: Number(read(`code${at}`)) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs one of them on an image. */
export function tool(name: string, raw: Uint8Array, ...args: string[]): Told {
  return tools([[name, ...args, IMAGE]], raw)[0] as Told;
}
