/**
 * A program for the test beside it: makes random scripts of some seeds, one driver after the other, and prints one digest of every answer, every
 * counter and where the disks hold bytes.
 *
 *   node seeds-program.mjs FIRST COUNT
 */
import { argv, stdout } from "node:process";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Random } from "../../sim/core/random.ts";
import { formatJson } from "../../src/calls/json.ts";
import { perform } from "../../src/calls/perform.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { faultyMachine } from "../../src/fuzz/faults/machine.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import { KERNEL, PRELUDE, randomStep } from "../../src/fuzz/vocabulary.ts";
import { syncAll } from "../../src/scenario/machine.ts";

const DRIVERS = ["overlay2", "vfs", "aufs", "devicemapper", "btrfs", "zfs", "overlay"];
const CALLS = 60;

function told(seed: number): string {
  const machine = faultyMachine(groundOf(DRIVERS[seed % DRIVERS.length] as string));
  if (typeof machine === "string") return machine;
  const { lab, host } = machine;
  const random = new Random(seed);
  const lines: string[] = [];
  const act = (name: string, count: number): void => {
    const session = lab.session(name);
    if (isDriverError(session)) return;
    for (let n = 0; n < count; n++) lines.push(formatJson({ ...perform(session, randomStep(KERNEL, random)) }));
    lines.push(formatJson({ ...perform(session, { call: "tree" }) }));
  };
  lab.addLayer("base");
  const base = lab.session("base");
  if (!isDriverError(base)) for (const step of PRELUDE) perform(base, step);
  act("base", CALLS / 4);
  lab.addContainer("container", "base");
  act("container", CALLS);
  syncAll(host);
  host.check();
  machine.disk.visit((offset, content) => lines.push(`${offset} ${content.length}`));
  return [...lines, JSON.stringify(host.counters())].join("\n");
}

const [, , first = "1", count = "1"] = argv;
const hash = sha256.create();
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) hash.update(new TextEncoder().encode(told(seed)));
stdout.write(`${bytesToHex(hash.digest())}\n`);
