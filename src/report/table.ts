/**
 * Plain tables for a terminal: columns as wide as they need, headings broken at spaces, numbers to the right.
 */

export interface TableColumn {
  readonly heading: string;
  readonly align: "left" | "right";
}

const GAP = "  ";

/** What a terminal shows two columns wide: East Asian wide and full-width characters (UAX #11: W and F) and pictures of their own colour. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18cff],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f265],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f7e0, 0x1f7ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];
const JOINER = 0x200d;
/** Hangul vowels and finals, which complete the syllable before them. */
const JAMO: readonly (readonly [number, number])[] = [
  [0x1160, 0x11ff],
  [0xd7b0, 0xd7ff],
];
/** Letters that make flags, in pairs. */
const REGIONAL: readonly (readonly [number, number])[] = [[0x1f1e6, 0x1f1ff]];

function within(code: number, ranges: readonly (readonly [number, number])[]): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last);
}

/** The width of a text in terminal columns: marks, joiners and what they join take none, wide characters two. */
export function textWidth(text: string): number {
  let width = 0;
  let before = 0;
  let regional = 0;
  for (const unit of text) {
    const code = unit.codePointAt(0) ?? 0;
    if (code >= 0x20 && code < 0x7f) {
      width += 1;
      before = code;
      continue;
    }
    const joined = before === JOINER;
    before = code;
    if (joined || /\p{M}|\p{Cf}|\p{Cc}/u.test(unit) || within(code, JAMO) || (code >= 0x1f3fb && code <= 0x1f3ff)) continue;
    if (within(code, REGIONAL)) {
      regional += 1;
      width += regional % 2 === 1 ? 2 : 0;
      continue;
    }
    width += within(code, WIDE) ? 2 : 1;
  }
  return width;
}

function padded(text: string, width: number, align: TableColumn["align"]): string {
  const space = " ".repeat(Math.max(0, width - textWidth(text)));
  return align === "right" ? space + text : text + space;
}

/** Breaks a heading at spaces so that no line is wider than `width`, where its words allow. */
function broken(heading: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of heading.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

type Rows = readonly (readonly string[])[];

/** How wide each column is. @param roomy - a heading of several words may take half its length, which gives it two lines. */
function widthsOf(columns: readonly TableColumn[], rows: Rows, roomy: boolean): readonly number[] {
  return columns.map(({ heading }, index) => {
    const words = heading.split(" ").map(textWidth);
    return Math.max(...words, ...rows.map((row) => textWidth(row[index] ?? "")), roomy ? Math.ceil(textWidth(heading) / 2) : 0);
  });
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length);
}

/** Which columns stand side by side, the first in each part: as many as `width` has room for. */
function filledParts(widths: readonly number[], width: number): readonly (readonly number[])[] {
  const parts: number[][] = [];
  for (let index = 1; index < widths.length; index++) {
    const last = parts.at(-1);
    const more = [...(last ?? [0]), index];
    if (last === undefined || totalOf(more.map((at) => widths[at] ?? 0)) > width) parts.push([0, index]);
    else parts[parts.length - 1] = more;
  }
  return parts.length === 0 ? [[0]] : parts;
}

/** As few parts as `width` allows, of about the same width. */
function partsOf(widths: readonly number[], width: number): readonly (readonly number[])[] {
  let parts = filledParts(widths, width);
  for (let less = Math.min(width, totalOf(widths)); less > 0; less--) {
    const even = filledParts(widths, less);
    if (even.length > parts.length) break;
    parts = even;
  }
  return parts;
}

function partLines(columns: readonly TableColumn[], rows: Rows, widths: readonly number[]): readonly string[] {
  const headings = columns.map(({ heading }, index) => broken(heading, widths[index] ?? 0));
  const height = Math.max(...headings.map((lines) => lines.length));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => padded(cell, widths[index] ?? 0, columns[index]?.align ?? "left"))
      .join(GAP)
      .trimEnd();
  const head = Array.from({ length: height }, (_, row) =>
    line(headings.map((lines) => lines[row - height + lines.length] ?? "")),
  );
  const rule = widths.map((width) => "─".repeat(width)).join(GAP);
  return [...head, rule, ...rows.map(line)];
}

/**
 * The lines of a table; the headings' last lines stand directly above a rule.
 * @param width - columns of the terminal: a table that is wider becomes several, one below the other, each with the first column
 */
export function tableLines(
  columns: readonly TableColumn[],
  rows: Rows,
  width: number = Number.POSITIVE_INFINITY,
): readonly string[] {
  const wide = widthsOf(columns, rows, true);
  const narrow = widthsOf(columns, rows, false);
  const widths = totalOf(wide) > width && totalOf(narrow) <= width ? narrow : wide;
  return partsOf(widths, width).flatMap((part, at) => [
    ...(at === 0 ? [] : [""]),
    ...partLines(
      part.map((index) => columns[index] as TableColumn),
      rows.map((row) => part.map((index) => row[index] ?? "")),
      part.map((index) => widths[index] ?? 0),
    ),
  ]);
}

/** Identifiers of 64 digits as Docker shortens them. */
export function shortIds(text: string): string {
  return text.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, "$1…");
}

/** A text in lines of at most `width` columns, each after `indent`; one word may be longer. */
export function wrapped(text: string, width: number, indent = ""): readonly string[] {
  return text
    .split("\n")
    .flatMap((paragraph) => broken(paragraph.trim(), width - textWidth(indent)).map((line) => indent + line));
}
