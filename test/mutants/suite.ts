/**
 * The quick suite that every mutant must not survive: the conformance suite and campaigns on each driver with all books checked often, and power cuts of one workload.
 * A program: prints what it found, or nothing.
 */
import { stdout } from "node:process";
import type { Step } from "../../src/calls/step.ts";
import { runCampaign } from "../../src/fuzz/campaign.ts";
import { crashEverywhere } from "../../src/fuzz/faults/crash.ts";
import { faultyMachine } from "../../src/fuzz/faults/machine.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import { CHECKS } from "../../src/testing/conformance.ts";
import KNOWN from "../conformance/known-differences.json" with { type: "json" };

const OPERATIONS = 8000;
const DRIVERS = ["overlay2", "vfs", "aufs", "devicemapper", "btrfs", "zfs"];

/** What the driver is known to do otherwise, and what takes long. */
const LEFT_OUT = new Set(KNOWN.map(({ driver, check }) => `${driver}: ${check}`));
const SLOW = /50 layers|50 MiB/;

/** The conformance suite. */
function conform(driver: string): string | undefined {
  for (const { name, run } of CHECKS) {
    if (SLOW.test(name) || LEFT_OUT.has(`${driver}: ${name}`)) continue;
    const machine = faultyMachine(groundOf(driver));
    if (typeof machine === "string") return machine;
    try {
      run(machine.lab);
      machine.host.check();
      machine.lab.end();
    } catch (error) {
      return `${name}: ${String(error).split("\n")[0]}`;
    }
  }
  return undefined;
}

/** A new file, its name and its content, each made durable. */
const FSYNCS: readonly Step[] = [
  { lab: "layer", name: "base" },
  { on: "base", call: "mkdir", path: "/A", mode: "0777" },
  { on: "base", call: "open", path: "/A/foo", flags: ["O_RDWR", "O_CREAT"], mode: "0644", fd: "f" },
  { on: "base", call: "write", fd: "f", data: { fill: "w", len: 8192 } },
  { on: "base", call: "fsync", fd: "f" },
  { on: "base", call: "rename", path: "/A/foo", to: "/A/bar" },
  { on: "base", call: "open", path: "/A", flags: ["O_RDONLY", "O_DIRECTORY"], fd: "d", mode: "0000" },
  { on: "base", call: "fsync", fd: "d" },
];

function find(): string | undefined {
  const crash = crashEverywhere({ ground: { target: "ext4", backing: "ext4", mountOptions: "" }, steps: FSYNCS });
  if (typeof crash === "string") return crash;
  if (crash.violations.length > 0) return `power cuts: ${crash.violations[0]}`;
  for (const driver of DRIVERS) {
    const failed = conform(driver);
    if (failed !== undefined) return `${driver}: ${failed}`;
  }
  for (const driver of DRIVERS) {
    const result = runCampaign({ ground: groundOf(driver), seed: 1, operations: OPERATIONS, checkEvery: 150, segmentCalls: 700 });
    if (typeof result === "string") return result;
    if (result.counterexample === undefined) continue;
    const { script, finding } = result.counterexample;
    return `${driver}: ${script.steps.length} steps: ${finding.message}`;
  }
  return undefined;
}

stdout.write(find() ?? "");
