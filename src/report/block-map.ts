/**
 * A map of a disk as SVG: which parts of it were written, and when, out of the events of a run.
 *
 * Interface: a cell is a part of the disk, as large as the map's heading says; its colour, and a pattern that can be told without colours, says the phase
 * in which it was last written, an outline with a cross that it was discarded since. One map for each scenario and driver, in the order in which they ran.
 */
import { bytesText } from "../scenario/figures.ts";
import type { Phase } from "../scenario/metrics.ts";
import type { RunEvent } from "../scenario/run.ts";
import { xmlText } from "./escape.ts";
import { svgDocument } from "./svg.ts";

const COLUMNS = 128;
const ROWS = 32;
const CELL = 6;
/** Everything stands at multiples of a cell's size, where the patterns begin. */
const LEFT = 2 * CELL;
const HEADING = 5 * CELL;
/** What a cell shows. */
type Mark = Phase | "discarded";

/** A fill of the size of a cell for each mark: plain, or with strokes that are seen in black and white too. */
const FILLS: Readonly<Record<Mark, { readonly ground: string; readonly stroke: string; readonly path: string }>> = {
  build: { ground: "#4c78a8", stroke: "#ffffff", path: "M0 6L6 0" },
  create: { ground: "#f2a65a", stroke: "#1b1f24", path: "M3 1.5V4.5M1.5 3H4.5" },
  steps: { ground: "#b3541e", stroke: "none", path: "" },
  discarded: { ground: "#ffffff", stroke: "#57606a", path: "M0 0H6V6M0 0L6 6" },
};
const LEGEND: readonly (readonly [Mark, string])[] = [
  ["build", "written while images were built"],
  ["create", "when containers were created"],
  ["steps", "in the steps"],
  ["discarded", "discarded since"],
];

function patternLine(mark: Mark): string {
  const { ground, stroke, path } = FILLS[mark];
  const strokes = path === "" ? "" : `<path d="${path}" fill="none" stroke="${stroke}"/>`;
  return `<pattern id="${mark}" patternUnits="userSpaceOnUse" width="${CELL}" height="${CELL}"><rect width="${CELL}" height="${CELL}" fill="${ground}"/>${strokes}</pattern>`;
}

interface DiskMap {
  readonly title: string;
  /** Bytes of the disk. */
  readonly size: number;
  readonly cells: (Mark | undefined)[];
}

export class BlockMaps {
  readonly #maps = new Map<string, DiskMap>();

  /** Adds what happened. @param size - bytes of the disk */
  add(scenario: string, { driver, phase, stamped: { event } }: RunEvent, size: number): void {
    if (event.op !== "deviceWrite" && event.op !== "deviceDiscard") return;
    const title = `${scenario} · ${driver} · ${event.device}`;
    const map = this.#maps.get(title) ?? { title, size, cells: new Array<DiskMap["cells"][number]>(COLUMNS * ROWS) };
    this.#maps.set(title, map);
    const bytes = map.size / map.cells.length;
    const last = Math.min(map.cells.length - 1, Math.ceil((event.offset + event.length) / bytes) - 1);
    for (let cell = Math.floor(event.offset / bytes); cell <= last; cell++)
      map.cells[cell] = event.op === "deviceWrite" ? phase : "discarded";
  }

  /** The picture. */
  svg(): string {
    const lines: string[] = ["<defs>", ...LEGEND.map(([mark]) => patternLine(mark)), "</defs>"];
    let y = 2 * CELL;
    LEGEND.forEach(([mark, words], index) => {
      const x = LEFT + index * 252;
      lines.push(
        `<rect x="${x}" y="${y}" width="${2 * CELL}" height="${2 * CELL}" fill="url(#${mark})"/>`,
        `<text x="${x + 18}" y="${y + 11}">${words}</text>`,
      );
    });
    y += 24;
    for (const { title, size, cells } of this.#maps.values()) {
      const scale = `${bytesText(size)}, ${bytesText(size / cells.length)} a square`;
      lines.push(
        `<text x="${LEFT}" y="${y + 16}" class="h">${xmlText(`${title} · ${scale}`)}</text>`,
        ...cellLines(cells, y + HEADING),
      );
      y += HEADING + (ROWS + 2) * CELL;
    }
    return svgDocument("cowlab: what was written where", "Disks from their start (top left) to their end, by rows", {
      lines,
      width: LEFT + 4 * 252,
      height: y,
    });
  }
}

/** Neighbours of one kind in one rectangle. */
function cellLines(cells: DiskMap["cells"], top: number): readonly string[] {
  const lines: string[] = [`<rect x="${LEFT}" y="${top}" width="${COLUMNS * CELL}" height="${ROWS * CELL}" fill="#eef1f4"/>`];
  for (let row = 0; row < ROWS; row++) {
    for (let from = 0; from < COLUMNS; ) {
      const kind = cells[row * COLUMNS + from];
      let to = from + 1;
      while (to < COLUMNS && cells[row * COLUMNS + to] === kind) to += 1;
      const place = `x="${LEFT + from * CELL}" y="${top + row * CELL}" width="${(to - from) * CELL}" height="${CELL}"`;
      if (kind !== undefined) lines.push(`<rect ${place} fill="url(#${kind})"/>`);
      from = to;
    }
  }
  return lines;
}
