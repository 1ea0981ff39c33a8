/**
 * Tables as zfs(8) and zpool(8) write them: with headings above and columns two spaces apart, or, with -H, without headings and a tab between.
 */

/** A column: what is above it, how wide it is at least, and on which side its values stand. */
export interface Column {
  readonly heading: string;
  /** Characters. A value that is longer sticks out, but where `grows`. */
  readonly width: number;
  readonly isRight: boolean;
  /** Whether it is as wide as its longest value. */
  readonly grows: boolean;
}

/** Writes rows. @param isScripted - with -H */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], isScripted: boolean): string {
  if (isScripted) return rows.map((row) => row.join("\t")).join("\n");
  const widths = columns.map(({ width, grows }, at) =>
    grows ? Math.max(width, ...rows.map((row) => row[at]?.length ?? 0)) : width,
  );
  const line = (row: readonly string[]): string =>
    row
      .map((value, at) => {
        const width = widths[at] ?? 0;
        if (columns[at]?.isRight === true) return value.padStart(width);
        return at === row.length - 1 ? value : value.padEnd(width);
      })
      .join("  ");
  return [columns.map(({ heading }) => heading), ...rows].map(line).join("\n");
}
