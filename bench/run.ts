/**
 * `npm run bench`: cowlab and its peers, one process a peer and group of workloads, one after the other; prints times, memory,
 * ratios and the goals. README.md beside this file says what is measured and how to read it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type ChildOptions, type ChildResult, runChild } from "./child.ts";
import { judgeGoals, type Samples } from "./goals.ts";
import { GROUPS } from "./groups.ts";
import type { Sample } from "./measure.ts";
import { OPTIONAL_PEERS, PEERS, type PeerEntry } from "./peers/index.ts";
import { compile, installPeers } from "./prepare.ts";
import { hottest } from "./profile.ts";
import { renderReport } from "./report.ts";
import type { Group } from "./workload.ts";

const USAGE = `usage: npm run bench -- [options]
  --quick             small counts and two rounds: within a minute
  --peer a,b          only these peers; the first is what the others are compared with
  --only workload     only the groups with workloads whose names begin so
  --json file         the whole result as JSON
  --markdown file     what is printed, into a file
  --profile           a CPU profile of each process: the functions it spent its own time in
peers: ${[...PEERS, ...OPTIONAL_PEERS].map(({ name }) => name).join(", ")}
`;
/** A child that takes longer than this is ended: something in it does not come to an end. */
const CHILD_MILLISECONDS_MAX = 300_000;
const HOTTEST = 25;
const STARTS = 3;

interface Run {
  /** The compiled program that children run. */
  readonly entry: string;
  readonly quick: boolean;
  readonly peers: readonly PeerEntry[];
  readonly groups: readonly Group[];
  readonly only: string;
  readonly profile: boolean;
  readonly notes: string[];
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      peer: { type: "string" },
      only: { type: "string", default: "" },
      json: { type: "string" },
      markdown: { type: "string" },
      profile: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { quick, only, profile } = values;
  if (positionals[0] === "child") return runChild({ peer: positionals[1] ?? "", group: positionals[2] ?? "", quick });
  const names = values.peer?.split(",") ?? PEERS.map(({ name }) => name);
  const known = [...PEERS, ...OPTIONAL_PEERS];
  const unknown = names.find((name) => known.every((peer) => peer.name !== name));
  if (values.help || positionals.length > 0 || unknown !== undefined) {
    process.stderr.write(unknown === undefined ? USAGE : `there is no peer ${unknown}\n${USAGE}`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const run: Run = {
    entry: compile(),
    quick,
    peers: names.flatMap((name) => known.filter((peer) => peer.name === name)),
    groups: GROUPS.filter(({ workloads }) => workloads.some((name) => name.startsWith(only) || only.startsWith(name))),
    only,
    profile,
    notes: [],
  };
  const text = measureAll(run, values.json);
  process.stdout.write(text);
  if (values.markdown !== undefined) writeFileSync(values.markdown, text);
}

function measureAll(run: Run, jsonFile: string | undefined): string {
  const begun = performance.now();
  if (run.quick) run.notes.push("Quick: 4 % of the operations; the first calls of cold code weigh more.");
  const problem = installPeers();
  if (problem !== undefined) run.notes.push(problem);
  const results: { peer: string; group: string; result: ChildResult }[] = [];
  const samples = new Map<string, Map<string, Sample>>();
  for (const peer of run.peers) {
    const ofPeer = new Map<string, Sample>();
    for (const group of run.groups) {
      if ((group.needsLayers && !peer.layered) || (group.name.endsWith("-described") && !peer.described)) continue;
      if (process.stderr.isTTY) process.stderr.write(`\r${`${peer.name}: ${group.name}`.padEnd(60)}\r`);
      const result = measureInChild(run, peer, { peer: peer.name, group: group.name, quick: run.quick });
      results.push({ peer: peer.name, group: group.name, result });
      if (result.skipped !== undefined) {
        run.notes.push(`${peer.name} skipped: ${result.skipped}`);
        break;
      }
      if (result.failed !== undefined) run.notes.push(`${peer.name}, ${group.name} failed: ${result.failed}`);
      for (const sample of result.samples) if (sample.workload.startsWith(run.only)) ofPeer.set(sample.workload, sample);
    }
    if (ofPeer.size > 0) samples.set(peer.name, ofPeer);
  }
  noteCuts(run, samples);
  const startSeconds = run.only === "" && !run.profile ? secondsToFirstLine(run) : undefined;
  const goals = run.peers.some(({ name }) => name === "cowlab") ? judgeGoals(samples, startSeconds) : [];
  const [processor] = cpus();
  const machine = { node: process.version, kernel: release(), processor: processor?.model ?? "", processors: cpus().length };
  const seconds = (performance.now() - begun) / 1000;
  if (jsonFile !== undefined) {
    mkdirSync(dirname(resolve(jsonFile)), { recursive: true });
    writeFileSync(
      jsonFile,
      `${JSON.stringify({ machine, quick: run.quick, seconds, results, startSeconds, goals }, undefined, 2)}\n`,
    );
  }
  run.notes.push(
    `Node ${machine.node}, ${machine.processors} × ${machine.processor}, kernel ${machine.kernel}; ${seconds.toFixed(0)} s.`,
  );
  return renderReport({ samples, goals, notes: run.notes });
}

/** Runs a group in a child and reads its last line; whatever goes wrong there becomes its result. */
function measureInChild(run: Run, peer: PeerEntry, options: ChildOptions): ChildResult {
  const profiles = run.profile ? mkdtempSync(join(tmpdir(), "cowlab-profile-")) : undefined;
  const command = [
    ...(peer.mounts && process.getuid?.() === 0 ? ["unshare", "--mount", "--propagation", "private"] : []),
    process.execPath,
    "--expose-gc",
    "--max-old-space-size=8192",
    ...(profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`]),
    run.entry,
    "child",
    options.peer,
    options.group,
    ...(options.quick ? ["--quick"] : []),
  ];
  const child = spawnSync(command[0] as string, command.slice(1), {
    cwd: join(import.meta.dirname, ".."),
    encoding: "utf8",
    timeout: CHILD_MILLISECONDS_MAX,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (profiles !== undefined) noteHottest(run, options, profiles);
  const line = child.stdout?.trimEnd().split("\n").at(-1) ?? "";
  if (child.status === 0 && line.startsWith("{")) return JSON.parse(line) as ChildResult;
  const reason = child.error?.message ?? child.stderr.split("\n").find((text) => /Error/.test(text)) ?? child.stderr.trim();
  return { samples: [], failed: `exit ${child.status ?? child.signal}: ${reason}` };
}

function noteHottest(run: Run, { peer, group }: ChildOptions, folder: string): void {
  for (const file of readdirSync(folder)) {
    const lines = hottest(join(folder, file), HOTTEST);
    if (lines.length > 0) run.notes.push(`${peer}, ${group}: own time\n  ${lines.join("\n  ")}`);
  }
  rmSync(folder, { recursive: true, force: true });
}

function noteCuts(run: Run, samples: Samples): void {
  for (const [peer, ofPeer] of samples) {
    const cut = [...ofPeer.values()].filter(({ operations, asked }) => operations < asked);
    if (cut.length === 0) continue;
    run.notes.push(
      `${peer} * by its time cap: ${cut.map(({ workload, operations, asked }) => `${workload} ${operations} of ${asked}`).join(", ")}`,
    );
  }
}

/** Wall seconds from `npm start` to the first line it prints, the best of a few; undefined where there is no command yet. */
function secondsToFirstLine(run: Run): number | undefined {
  const root = join(import.meta.dirname, "..");
  if (!existsSync(join(root, "src/cli/main.ts"))) return undefined;
  let best = Number.POSITIVE_INFINITY;
  for (let start = 0; start < STARTS; start++) {
    const begun = performance.now();
    // head ends at the first line that is the program's own, and npm with it.
    const { stdout } = spawnSync("sh", ["-c", "npm start --silent 2>/dev/null | head -n 1"], { cwd: root, encoding: "utf8" });
    if (stdout.trim() === "") {
      run.notes.push("npm start printed nothing");
      return undefined;
    }
    best = Math.min(best, (performance.now() - begun) / 1000);
  }
  return best;
}

await main();
