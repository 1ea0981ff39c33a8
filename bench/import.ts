/**
 * Importing a layer of 1 GiB with 30,000 files into overlay2: bytes a second, memory at the peak, and where the time went.
 *
 * `tsx bench/import.ts` makes the archive in the system's temporary folder, imports it in processes of their own, compiled as a user's are, and
 * removes it. The floor is measured beside it: reading the same file and taking its SHA-256, which no import can do without.
 * `--quick`: a tenth of it.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { compile } from "./prepare.ts";
import { hottest, sharesOf } from "./profile.ts";

const FILES = 30_000;
const BYTES = 2 ** 30;
const IN_FOLDER = 100;
const GOAL_BYTES_A_SECOND = 200e6;
const GOAL_MEMORY = 200e6;
/** Each figure is the best of so many runs: what else the machine does makes them slower only. */
const RUNS = 3;
const FLOOR_PIECE = 2 ** 20;

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

/** What a child tells: CPU seconds of its work, bytes of the layer, the most memory that was resident at any time. */
interface Figures {
  readonly seconds: number;
  readonly bytes: number;
  readonly peak: number;
}

async function work(path: string): Promise<number> {
  const daemon = startDaemon({ driver: "overlay2", size: 4 * BYTES, newHasher: nodeHasher, gzip: nodeGzip });
  if (!("images" in daemon)) throw new Error(daemon.message);
  const opened = new OpenedFiles();
  const context = { mode: "strict", newHasher: nodeHasher, decompress: nodeDecompress } as const;
  const source = await readImages(await openImageFiles(path, "strict", opened), context);
  const loaded = await loadImages(source, daemon.images, context);
  if (!("images" in loaded)) throw new Error(loaded.message);
  opened.close();
  return source.images[0]?.layers[0]?.length ?? 0;
}

/** Reads a file and hashes it. */
function floor(path: string): number {
  const fd = openSync(path, "r");
  const hasher = nodeHasher();
  const piece = new Uint8Array(FLOOR_PIECE);
  let bytes = 0;
  for (let count = readSync(fd, piece); count > 0; count = readSync(fd, piece)) {
    hasher.update(piece.subarray(0, count));
    bytes += count;
  }
  hasher.hex();
  closeSync(fd);
  return bytes;
}

async function child(role: string, path: string): Promise<void> {
  const start = process.cpuUsage();
  const bytes = role === "floor" ? floor(path) : await work(path);
  const { user, system } = process.cpuUsage(start);
  const figures: Figures = { seconds: (user + system) / 1e6, bytes, peak: process.resourceUsage().maxRSS * 1024 };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

function run(command: readonly string[]): Figures {
  const done = spawnSync(process.execPath, command, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout) as Figures;
}

function bestOf(command: readonly string[]): Figures {
  const all = Array.from({ length: RUNS }, () => run(command));
  return all.reduce((best, one) => ({
    seconds: Math.min(best.seconds, one.seconds),
    bytes: one.bytes,
    peak: Math.max(best.peak, one.peak),
  }));
}

function verdict(hit: boolean): string {
  return hit ? "hit" : "missed";
}

function main(quick: boolean): void {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-import-"));
  try {
    const path = join(folder, "archive.tar");
    const fd = openSync(path, "w");
    for (const piece of archive(quick ? FILES / 10 : FILES).chunks()) writeSync(fd, piece);
    closeSync(fd);
    const program = compile("import");
    const least = bestOf([program, "--child", "floor", path]);
    const { seconds, bytes, peak } = bestOf([program, "--child", "import", path]);
    const rate = bytes / seconds;
    const lines = [
      `imported ${(bytes / 2 ** 20).toFixed(0)} MiB in ${seconds.toFixed(2)} s of CPU: ${(rate / 1e6).toFixed(0)} MB/s (goal 200: ${verdict(rate >= GOAL_BYTES_A_SECOND)})`,
      `reading the file and its SHA-256 alone: ${least.seconds.toFixed(2)} s, ${((100 * least.seconds) / seconds).toFixed(0)} % of it`,
      `memory at the peak ${(peak / 1e6).toFixed(0)} MB, the program itself included (goal 200: ${verdict(peak <= GOAL_MEMORY)})`,
    ];
    const profiles = join(folder, "profiles");
    run(["--cpu-prof", `--cpu-prof-dir=${profiles}`, program, "--child", "import", path]);
    const [profile = ""] = readdirSync(profiles).map((name) => join(profiles, name));
    lines.push("where the time went:", ...sharesOf(profile, PARTS), "the functions with most time of their own:");
    process.stdout.write(`${[...lines, ...hottest(profile, 14)].join("\n")}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The parts of the work by where their code is; the first that fits counts. */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ["hash", /internal\/crypto/],
  ["reading the file", /^(?:read|readSync|tryReadSync)\b|node:fs|image-files/],
  ["reading the tar", /archive\/(?:tar-read|tar-fields|tar-header|crc64|names)\./],
  ["tar-split and its gzip", /tar-split|zlib/],
  ["unpacking into the driver", /src\/archive|src\/drivers|sim\//],
  ["garbage collection", /garbage collector/],
  ["all else, the program's start among it", /./],
];

const [flag, role, path] = process.argv.slice(2);
if (flag === "--child" && role !== undefined && path !== undefined) await child(role, path);
else main(flag === "--quick");
