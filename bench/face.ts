/**
 * `npm run bench:fs`: cowlab/fs beside memfs, both through node:fs's synchronous functions over the same files. CPU time a call; the median of eleven
 * rounds after one that is thrown away. Each side runs in a process of its own, as code that has seen several is compiled for all of them.
 */
import { spawnSync } from "node:child_process";
import { memfs } from "memfs";
import { fromJson, nodeFs, overlayFs } from "../src/entry/fs.ts";
import { createHost } from "../src/index.ts";

const FILES = 2000;
const FOLDERS = 50;
const ROUNDS = 12;
const REPEATS = 10;

type Calls = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

const files = Object.fromEntries(
  Array.from({ length: FILES }, (_, index) => [`/d${index % FOLDERS}/file-${index}.txt`, `content of ${index} `.repeat(8)]),
);
const paths = Object.keys(files);
const folders = Array.from({ length: FOLDERS }, (_, index) => `/d${index}`);

function onTmpfs(): unknown {
  const { task } = createHost();
  fromJson(files).fill(task);
  return nodeFs(task, { callTime: 0 });
}

const SIDES: Readonly<Record<string, () => unknown>> = {
  memfs: () => memfs(files).fs,
  "cowlab tmpfs": onTmpfs,
  "cowlab overlay2": () => overlayFs({ lower: [fromJson(files)], callTime: 0 }),
};

const WORK: Readonly<Record<string, readonly [names: readonly string[], call: string, ...rest: readonly unknown[]]>> = {
  stat: [paths, "statSync"],
  readFile: [paths, "readFileSync"],
  "readFile utf8": [paths, "readFileSync", "utf8"],
  writeFile: [paths, "writeFileSync", "new content of this file, a line"],
  readdir: [folders, "readdirSync"],
};

/** Microseconds of CPU that one call takes. */
function costOf(fs: Calls, [names, call, ...rest]: (typeof WORK)[string]): number {
  const made = fs[call] as Calls[string];
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = process.cpuUsage();
    for (let repeat = 0; repeat < REPEATS; repeat++) for (const name of names) made(name, ...rest);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / (REPEATS * names.length);
  });
  return rounds.slice(1).sort((one, other) => one - other)[Math.floor((ROUNDS - 1) / 2)] as number;
}

function print(cells: readonly string[]): void {
  process.stdout.write(
    `${cells
      .map((text) => text.padEnd(17))
      .join("")
      .trimEnd()}\n`,
  );
}

const chosen = process.argv[2];
const make = chosen === undefined ? undefined : SIDES[chosen];
if (chosen !== undefined && make !== undefined) {
  const fs = make() as Calls;
  print([chosen, ...Object.values(WORK).map((work) => costOf(fs, work).toFixed(2))]);
} else {
  print(["µs a call", ...Object.keys(WORK)]);
  for (const side of Object.keys(SIDES))
    spawnSync(process.execPath, [...process.execArgv, process.argv[1] ?? "", side], { stdio: "inherit" });
}
