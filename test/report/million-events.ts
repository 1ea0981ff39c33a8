/** A million events written as a Chrome trace; where this is run as a program, what that cost as one line of JSON. */
import { pathToFileURL } from "node:url";
import type { SimEvent } from "../../sim/core/events.ts";
import { TraceWriter } from "../../src/report/trace.ts";

export const EVENTS = 1_000_000;

const WRITE: SimEvent = { op: "deviceWrite", device: "vda", offset: 4096, length: 4096 };
const CALL = {
  op: "call",
  process: "c1",
  filesystem: "overlay",
  call: "pwrite",
  arguments: '"/f", 4096',
  result: "1",
  since: 0,
} satisfies SimEvent;

/** Writes of a disk and calls, in turn. @param write - gets the trace, piece by piece */
export function writeMillion(write: (text: string) => void): void {
  const trace = new TraceWriter(write);
  const where = { driver: "overlay2", phase: "steps", step: 1 } as const;
  for (let now = 0; now < (EVENTS / 2) * 10; now += 10) {
    trace.add("s", { ...where, stamped: { step: 2, now, event: WRITE } });
    trace.add("s", { ...where, stamped: { step: 2, now, event: { ...CALL, since: now - 5 } } });
  }
  trace.end();
}

export interface TraceCost {
  readonly events: number;
  readonly characters: number;
  /** CPU seconds. */
  readonly seconds: number;
  /** Bytes that were resident at the most, the program's own among them. */
  readonly peak: number;
}

function cost(): TraceCost {
  let characters = 0;
  const start = process.cpuUsage();
  writeMillion((text) => {
    characters += text.length;
  });
  const { user, system } = process.cpuUsage(start);
  return { events: EVENTS, characters, seconds: (user + system) / 1e6, peak: process.resourceUsage().maxRSS * 1024 };
}

const [, program = ""] = process.argv;
if (import.meta.url === pathToFileURL(program).href) process.stdout.write(`${JSON.stringify(cost())}\n`);
