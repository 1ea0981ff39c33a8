/** The result of a run as Markdown, which is what the terminal shows too. */
import type { Goal, Samples } from "./goals.ts";
import type { Sample } from "./measure.ts";

export interface Report {
  readonly samples: Samples;
  readonly goals: readonly Goal[];
  /** Lines to print below the tables: what was skipped, cut short or failed. */
  readonly notes: readonly string[];
}

/** Time, memory and goals. Factors are against the first peer: × 9.0 means that it takes nine times as long. */
export function renderReport({ samples, goals, notes }: Report): string {
  const sections = [
    `CPU per operation; × is the time against ${[...samples.keys()][0] ?? "nobody"}'s, * marks fewer operations than asked for.`,
    table(samples, timeCell, ({ workload }) => !workload.startsWith("memory-")),
  ];
  const weighed = table(samples, memoryCell, (sample) => sample.bytes !== undefined);
  if (weighed !== "")
    sections.push(
      "Memory that one operation leaves (of the writes: all of them together): heap + array buffers (growth of resident memory).",
      weighed,
    );
  if (goals.length > 0) sections.push(goals.map(goalLine).join("\n"), goalCount(goals));
  if (notes.length > 0) sections.push(notes.map((note) => `- ${note}`).join("\n"));
  return `${sections.join("\n\n")}\n`;
}

type Cell = (sample: Sample, first: Sample | undefined) => string;

function table(samples: Samples, cell: Cell, shows: (sample: Sample) => boolean): string {
  const peers = [...samples.keys()];
  const workloads = new Set<string>();
  for (const ofPeer of samples.values()) for (const sample of ofPeer.values()) if (shows(sample)) workloads.add(sample.workload);
  if (workloads.size === 0) return "";
  const rows = [...workloads].map((workload) => {
    const first = samples.get(peers[0] ?? "")?.get(workload);
    const cells = peers.map((peer) => {
      const sample = samples.get(peer)?.get(workload);
      return sample === undefined ? "–" : cell(sample, sample === first ? undefined : first);
    });
    const unit = [...samples.values()].map((ofPeer) => ofPeer.get(workload)?.unit).find((each) => each !== undefined);
    return [unit === undefined || unit === "call" ? workload : `${workload} (${unit})`, ...cells];
  });
  return aligned([["workload", ...peers], ...rows]);
}

function timeCell(sample: Sample, first: Sample | undefined): string {
  const cut = sample.operations < sample.asked ? "*" : "";
  const factor = first === undefined ? "" : ` ×${short(sample.nanoseconds / first.nanoseconds)}`;
  return `${duration(sample.nanoseconds)}${cut}${factor}`;
}

function memoryCell({ bytes }: Sample): string {
  if (bytes === undefined) return "–";
  return `${size(bytes.heap + bytes.arrayBuffers)} (${size(bytes.rss)})`;
}

function duration(nanoseconds: number): string {
  if (nanoseconds < 1000) return `${Math.round(nanoseconds)} ns`;
  if (nanoseconds < 1e6) return `${short(nanoseconds / 1000)} µs`;
  return `${short(nanoseconds / 1e6)} ms`;
}

function size(count: number): string {
  const magnitude = Math.abs(count);
  if (magnitude < 10_000) return `${Math.round(count)} B`;
  if (magnitude < 10_000_000) return `${Math.round(count / 1024)} KiB`;
  return `${Math.round(count / 2 ** 20)} MiB`;
}

function short(value: number): string {
  if (value >= 100) return String(Math.round(value));
  return value.toFixed(value >= 10 ? 1 : 2);
}

function goalLine({ text, measured, hit }: Goal): string {
  if (hit === undefined) return `- not measured  ${text}`;
  return `- ${hit ? "hit " : "MISS"}  ${text}: ${measured}`;
}

function goalCount(goals: readonly Goal[]): string {
  const known = goals.filter(({ hit }) => hit !== undefined);
  return `${known.filter(({ hit }) => hit).length} of ${known.length} goals hit, ${goals.length - known.length} not measured.`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, column) => pad(cell, widths, column)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)].join("\n");
}

function pad(cell: string, widths: readonly number[], column: number): string {
  const width = widths[column] ?? 0;
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
