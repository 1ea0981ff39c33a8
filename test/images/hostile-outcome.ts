/**
 * What becomes of an archive from outside, and, where this is run as a program, what it costs.
 *
 * The program takes a mode and the name of a case, or the beginning of names with "*" behind it (of large cases the whole name), loads each, and
 * prints one JSON line each. The most memory
 * that was resident is counted anew for each (Linux: /proc/self/clear_refs); the collector runs before, outside of the time, where earlier cases left
 * enough to count.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Content } from "../../sim/core/content.ts";
import { uncompressed } from "../../src/archive/compression.ts";
import { ArchiveFault, type ReadMode } from "../../src/archive/fault.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { tarFiles } from "../../src/images/files.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages } from "../../src/images/read-images.ts";
import { nodeDecompress } from "../../src/node/decompress.ts";
import { daemonOn } from "./daemons.ts";
import { allHostileCases, largeCases } from "./hostile-forms.ts";
import { readContext } from "./material.ts";

/** Loads an archive. @returns the code of the fault; undefined where it is taken */
export async function outcome(daemon: Daemon, archive: Content, mode: ReadMode): Promise<string | undefined> {
  try {
    const files = tarFiles(await uncompressed(archive, nodeDecompress), mode);
    const source = await readImages(files, readContext(mode));
    const done = await loadImages(source, daemon.images, readContext(mode));
    return isDriverError(done) ? "E_DRIVER" : undefined;
  } catch (error) {
    if (error instanceof ArchiveFault) return error.code;
    throw error;
  }
}

/** What one archive cost. */
export interface Cost {
  readonly name: string;
  readonly mode: ReadMode;
  readonly code?: string;
  /** CPU seconds. */
  readonly seconds: number;
  /** Bytes that were resident at the most, the program's own among them. */
  readonly peak: number;
}

function residentMost(): number {
  return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
}

/** Bytes that earlier cases may leave on the heap before they are collected. */
const LEFT_MAX = 16e6;
let kept = 0;

function collect(): void {
  if (process.memoryUsage().heapUsed < kept + LEFT_MAX) return;
  globalThis.gc?.();
  kept = process.memoryUsage().heapUsed;
}

async function costOf(daemon: Daemon, archive: Content, mode: ReadMode): Promise<Omit<Cost, "name">> {
  collect();
  writeFileSync("/proc/self/clear_refs", "5");
  const start = process.cpuUsage();
  const code = await outcome(daemon, archive, mode);
  const { user, system } = process.cpuUsage(start);
  return { mode, seconds: (user + system) / 1e6, peak: residentMost(), ...(code === undefined ? {} : { code }) };
}

async function main(mode: ReadMode, wanted: string): Promise<void> {
  const daemon = daemonOn("overlay2");
  const large = new Set(largeCases().map(({ name }) => name));
  for (const { name, archive } of allHostileCases()) {
    const begins = wanted.endsWith("*") && name.startsWith(wanted.slice(0, -1)) && !large.has(name);
    if (name !== wanted && !begins) continue;
    const cost: Cost = { name, ...(await costOf(daemon, archive(), mode)) };
    process.stdout.write(`${JSON.stringify(cost)}\n`);
    for (const { config } of daemon.images.images) daemon.images.delete(config.id);
  }
}

const [, program = "", mode, wanted = "*"] = process.argv;
if (import.meta.url === pathToFileURL(program).href) await main(mode === "docker" ? "docker" : "strict", wanted);
