/**
 * Events as Chrome trace-event JSON, for Perfetto and chrome://tracing: a process for each scenario and driver, a track for each container and device.
 *
 * Interface:
 * - Text goes to `write` in pieces as events come; `end` closes the document. Memory does not grow with the number of events.
 * - Times are virtual. Where nothing costs time, or two things happen at once, they stand a nanosecond apart in the order in which they happened.
 * - Calls are spans; device commands, copy-ups and whiteouts are marks; bytes written and read are counters.
 * - A call lasts a nanosecond at least, and one lies between it and the next: Perfetto makes whole nanoseconds of the microseconds by rounding, and
 *   before by cutting off (CoerceToTs in its json_trace_tokenizer.cc), and drops a span that then begins before the one before it has ended
 *   (slice_drop_overlapping_complete_event in slice_tracker.cc).
 */
import type { SimEvent } from "../../sim/core/events.ts";
import type { RunEvent } from "../scenario/run.ts";

const CHUNK_CHARACTERS = 65_536;
/** The track of what belongs to no container and no device. */
const KERNEL_TRACK = "kernel";

interface Track {
  readonly pid: number;
  readonly tid: number;
}

export class TraceWriter {
  readonly #write: (text: string) => void;
  #pending = "";
  #isFirst = true;
  /** Of each scenario and driver: its number, its tracks, when its last event was, and what it has written. */
  readonly #processes = new Map<string, Process>();

  constructor(write: (text: string) => void) {
    this.#write = write;
    this.#pending = '{"displayTimeUnit":"ns","traceEvents":[';
  }

  /** Adds an event. @param scenario - its title */
  add(scenario: string, { driver, phase, step, stamped }: RunEvent): void {
    const process = this.#processOf(scenario, driver);
    const { event, now } = stamped;
    const since = event.op === "call" ? Math.max(event.since, process.lastCall + 1) : 0;
    const at = Math.max(now, process.last + 1, since + 1);
    process.last = at;
    const track = this.#track(process, trackOf(event));
    const where = `"pid":${track.pid},"tid":${track.tid}`;
    const args = `"phase":"${phase}"${step === undefined ? "" : `,"step":${step + 1}`}`;
    if (event.op === "call") {
      process.lastCall = at;
      const words = `"args":{${args},"arguments":${JSON.stringify(event.arguments)},"result":${JSON.stringify(event.result)}}`;
      this.#put(
        `{"ph":"X","name":${JSON.stringify(event.call)},"cat":"call",${where},"ts":${micros(since)},"dur":${micros(at - since)},${words}}`,
      );
      return;
    }
    this.#put(
      `{"ph":"i","s":"t","name":"${event.op}","cat":"${categoryOf(event)}",${where},"ts":${micros(at)},"args":{${args}${wordsOf(event)}}}`,
    );
    if (event.op !== "deviceWrite" && event.op !== "deviceRead") return;
    const counter = `${event.device} ${event.op === "deviceWrite" ? "written" : "read"}`;
    const sum = (process.counters.get(counter) ?? 0) + event.length;
    process.counters.set(counter, sum);
    this.#put(`{"ph":"C","name":${JSON.stringify(counter)},"pid":${track.pid},"ts":${micros(at)},"args":{"bytes":${sum}}}`);
  }

  /** Ends the document. */
  end(): void {
    this.#pending += "\n]}\n";
    this.#flush();
  }

  #processOf(scenario: string, driver: string): Process {
    const key = `${scenario}\u0000${driver}`;
    const known = this.#processes.get(key);
    if (known !== undefined) return known;
    const made: Process = { pid: this.#processes.size + 1, tracks: new Map(), counters: new Map(), last: 0, lastCall: 0 };
    this.#processes.set(key, made);
    this.#put(
      `{"ph":"M","name":"process_name","pid":${made.pid},"tid":0,"args":{"name":${JSON.stringify(`${driver} · ${scenario}`)}}}`,
    );
    return made;
  }

  #track(process: Process, name: string): Track {
    const known = process.tracks.get(name);
    if (known !== undefined) return known;
    const made: Track = { pid: process.pid, tid: process.tracks.size + 1 };
    process.tracks.set(name, made);
    this.#put(`{"ph":"M","name":"thread_name","pid":${made.pid},"tid":${made.tid},"args":{"name":${JSON.stringify(name)}}}`);
    return made;
  }

  #put(text: string): void {
    this.#pending += this.#isFirst ? `\n${text}` : `,\n${text}`;
    this.#isFirst = false;
    if (this.#pending.length >= CHUNK_CHARACTERS) this.#flush();
  }

  #flush(): void {
    this.#write(this.#pending);
    this.#pending = "";
  }
}

interface Process {
  readonly pid: number;
  readonly tracks: Map<string, Track>;
  readonly counters: Map<string, number>;
  last: number;
  lastCall: number;
}

function trackOf(event: SimEvent): string {
  if (event.op === "call") return event.process === "" ? KERNEL_TRACK : event.process;
  if ("device" in event) return event.device;
  return "filesystem" in event ? event.filesystem : KERNEL_TRACK;
}

function categoryOf(event: SimEvent): string {
  return "device" in event ? "device" : "kernel";
}

/** Microseconds with their nanoseconds, as the format wants them. */
function micros(nanoseconds: number): string {
  const whole = Math.floor(nanoseconds / 1000);
  const rest = Math.round(nanoseconds - whole * 1000);
  return rest === 0 ? String(whole) : `${whole}.${String(rest).padStart(3, "0")}`;
}

/** An event's own values, each after a comma. */
function wordsOf(event: SimEvent): string {
  let text = "";
  for (const [key, value] of Object.entries(event))
    if (key !== "op" && key !== "device") text += `,"${key}":${JSON.stringify(value)}`;
  return text;
}
