/**
 * Plain tables for a terminal: columns as wide as they need, headings broken at spaces, numbers to the right.
 */

export interface TableColumn {
  readonly heading: string;
  readonly align: "left" | "right";
}

const GAP = "  ";

/** The width of a text in terminal columns; wide and combining characters are told apart. */
export function textWidth(text: string): number {
  let width = 0;
  for (const unit of text) {
    if (/\p{M}|\p{Cf}/u.test(unit)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
        unit,
      )
        ? 2
        : 1;
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

/** The lines of a table; the headings' last lines stand directly above a rule. */
export function tableLines(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = columns.map(({ heading }, index) => {
    const words = heading.split(" ").map(textWidth);
    return Math.max(...words, ...rows.map((row) => textWidth(row[index] ?? "")), Math.ceil(textWidth(heading) / 2));
  });
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

/** A text in lines of at most `width` columns, each after `indent`; one word may be longer. */
export function wrapped(text: string, width: number, indent = ""): readonly string[] {
  return text
    .split("\n")
    .flatMap((paragraph) => broken(paragraph.trim(), width - textWidth(indent)).map((line) => indent + line));
}
