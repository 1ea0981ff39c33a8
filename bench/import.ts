/**
 * Importing a layer of 1 GiB with 30,000 files into overlay2: bytes a second, memory at the peak, and where the time went.
 *
 * `tsx bench/import.ts` makes the archive in the system's temporary folder, imports it in a process of its own under V8's profiler, and removes it.
 * `--quick`: a tenth of it.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Content } from "../sim/core/content.ts";
import { digestOf, digestOfContent } from "../src/archive/digest.ts";
import { TarWriter, tarHeader } from "../src/archive/tar-write.ts";
import { startDaemon } from "../src/images/daemon.ts";
import { loadImages } from "../src/images/load.ts";
import { readImages } from "../src/images/read-images.ts";
import { nodeDecompress } from "../src/node/decompress.ts";
import { nodeHasher } from "../src/node/digest.ts";
import { nodeGzip } from "../src/node/gzip.ts";
import { OpenedFiles, openImageFiles } from "../src/node/image-files.ts";
import { hottest } from "./profile.ts";

const FILES = 30_000;
const BYTES = 2 ** 30;
const IN_FOLDER = 100;
const GOAL_BYTES_A_SECOND = 200e6;
const GOAL_MEMORY = 200 * 2 ** 20;

/** An archive of `docker save` with one layer of files that do not compress. */
function archive(files: number): Content {
  const layer = new TarWriter();
  const size = Math.floor(BYTES / FILES);
  for (let index = 0; index < files; index++) {
    const folder = `usr/lib/folder-${Math.floor(index / IN_FOLDER)}/`;
    if (index % IN_FOLDER === 0) layer.add(tarHeader({ name: folder, mode: 0o40755 }));
    const length = Math.floor(size / 2) + ((index * 7919) % size);
    layer.add(tarHeader({ name: `${folder}file-${index}`, size: length, mode: 0o100644 }), Content.pattern(index, length));
  }
  const tar = layer.end();
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: "2024-01-01T00:00:00Z",
    rootfs: { type: "layers", diff_ids: [digestOfContent(tar, nodeHasher)] },
  });
  const name = `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
  const outer = new TarWriter();
  const add = (path: string, content: Content): void => outer.add(tarHeader({ name: path, size: content.length }), content);
  add("layer.tar", tar);
  add(name, Content.text(config));
  add("manifest.json", Content.text(JSON.stringify([{ Config: name, RepoTags: ["bench:1"], Layers: ["layer.tar"] }])));
  return outer.end();
}

/** What the child tells: CPU seconds of the import, bytes of the archive, most memory resident at any time and before the import. */
interface Figures {
  readonly seconds: number;
  readonly bytes: number;
  readonly peak: number;
  readonly before: number;
}

async function child(path: string): Promise<void> {
  const daemon = startDaemon({ driver: "overlay2", size: 4 * BYTES, newHasher: nodeHasher, gzip: nodeGzip });
  if (!("images" in daemon)) throw new Error(daemon.message);
  const before = process.memoryUsage().rss;
  const start = process.cpuUsage();
  const opened = new OpenedFiles();
  const context = { mode: "strict", newHasher: nodeHasher, decompress: nodeDecompress, updated: "2024-01-01T00:00:00Z" } as const;
  const source = readImages(await openImageFiles(path, "strict", opened), context);
  const loaded = await loadImages(source, daemon.images, context);
  const { user, system } = process.cpuUsage(start);
  if (!("images" in loaded)) throw new Error(loaded.message);
  const bytes = source.images[0]?.layers[0]?.length ?? 0;
  const figures: Figures = { seconds: (user + system) / 1e6, bytes, peak: process.resourceUsage().maxRSS * 1024, before };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

function run(path: string, folder: string, flags: readonly string[]): Figures {
  const command = ["--import", "tsx", ...flags, fileURLToPath(import.meta.url), "--child", path];
  const done = spawnSync(process.execPath, command, { encoding: "utf8", cwd: folder, env: { ...process.env } });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout) as Figures;
}

function main(quick: boolean): void {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-import-"));
  try {
    const path = join(folder, "archive.tar");
    const fd = openSync(path, "w");
    for (const piece of archive(quick ? FILES / 10 : FILES).chunks()) writeSync(fd, piece);
    closeSync(fd);
    const here = fileURLToPath(new URL("..", import.meta.url));
    const { seconds, bytes, peak, before } = run(path, here, []);
    const rate = bytes / seconds;
    const verdict = (hit: boolean): string => (hit ? "hit" : "missed");
    const lines = [
      `imported ${(bytes / 2 ** 20).toFixed(0)} MiB in ${seconds.toFixed(2)} s of CPU: ${(rate / 1e6).toFixed(0)} MB/s (goal 200: ${verdict(rate >= GOAL_BYTES_A_SECOND)})`,
      `memory at the peak ${(peak / 2 ** 20).toFixed(0)} MiB, ${((peak - before) / 2 ** 20).toFixed(0)} MiB of it for the import (goal 200: ${verdict(peak - before <= GOAL_MEMORY)})`,
    ];
    const profiles = join(folder, "profiles");
    run(path, here, ["--cpu-prof", `--cpu-prof-dir=${profiles}`]);
    const reports = readdirSync(profiles).map((name) => hottest(join(profiles, name), 14));
    // The loader of TypeScript has a profile of its own.
    const own = reports.find((report) => report.some((line) => line.includes("src/archive/"))) ?? [];
    process.stdout.write(`${[...lines, "where the time went:", ...own].join("\n")}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [flag, path] = process.argv.slice(2);
if (flag === "--child" && path !== undefined) await child(path);
else main(flag === "--quick");
