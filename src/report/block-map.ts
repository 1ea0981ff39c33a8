/**
 * A map of a disk as SVG: which parts of it were written, and when, out of the events of a run.
 *
 * Interface: a cell is a part of the disk, as large as the map's heading says; its colour says the phase in which it was last written, an outline that it
 * was discarded since. One map for each scenario and driver, in the order in which they ran.
 */
import { bytesText } from "../scenario/figures.ts";
import type { Phase } from "../scenario/metrics.ts";
import type { RunEvent } from "../scenario/run.ts";
import { xmlText } from "./escape.ts";
import { svgDocument } from "./svg.ts";

const COLUMNS = 128;
const ROWS = 32;
const CELL = 6;
const HEADING = 26;
const COLOURS: Readonly<Record<Phase, string>> = { build: "#4c78a8", create: "#f2a65a", steps: "#b3541e" };
const MARKS: readonly (readonly [Phase, string])[] = [
  ["build", "written while images were built"],
  ["create", "when containers were created"],
  ["steps", "in the steps"],
];

const DISCARDED = 'fill="#ffffff" stroke="#57606a" stroke-width="0.5"';

interface DiskMap {
  readonly title: string;
  /** Bytes of the disk. */
  readonly size: number;
  readonly cells: (Phase | "discarded" | undefined)[];
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
    const lines: string[] = [];
    let y = 8;
    MARKS.forEach(([phase, words], index) => {
      const x = 12 + index * 260;
      lines.push(
        `<rect x="${x}" y="${y}" width="12" height="12" fill="${COLOURS[phase]}"/>`,
        `<text x="${x + 18}" y="${y + 11}">${words}</text>`,
      );
    });
    const x = 12 + MARKS.length * 260;
    lines.push(
      `<rect x="${x}" y="${y}" width="12" height="12" ${DISCARDED}/>`,
      `<text x="${x + 18}" y="${y + 11}">discarded since</text>`,
    );
    y += 24;
    for (const { title, size, cells } of this.#maps.values()) {
      const scale = `${bytesText(size)}, ${bytesText(size / cells.length)} a square`;
      lines.push(
        `<text x="12" y="${y + 16}" class="h">${xmlText(`${title} · ${scale}`)}</text>`,
        ...cellLines(cells, y + HEADING),
      );
      y += HEADING + ROWS * CELL + 12;
    }
    return svgDocument("cowlab: what was written where", "Disks from their start (top left) to their end, by rows", {
      lines,
      width: COLUMNS * CELL + 200,
      height: y,
    });
  }
}

/** Neighbours of one kind in one rectangle. */
function cellLines(cells: DiskMap["cells"], top: number): readonly string[] {
  const lines: string[] = [`<rect x="12" y="${top}" width="${COLUMNS * CELL}" height="${ROWS * CELL}" fill="#eef1f4"/>`];
  for (let row = 0; row < ROWS; row++) {
    for (let from = 0; from < COLUMNS; ) {
      const kind = cells[row * COLUMNS + from];
      let to = from + 1;
      while (to < COLUMNS && cells[row * COLUMNS + to] === kind) to += 1;
      const place = `x="${12 + from * CELL}" y="${top + row * CELL}" width="${(to - from) * CELL}" height="${CELL}"`;
      if (kind === "discarded") lines.push(`<rect ${place} ${DISCARDED}/>`);
      else if (kind !== undefined) lines.push(`<rect ${place} fill="${COLOURS[kind]}"/>`);
      from = to;
    }
  }
  return lines;
}
