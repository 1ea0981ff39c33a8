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

/** A property that `get` tells, and the column that it has where it is listed. */
interface ShownProperty {
  readonly property: string;
  readonly column: Column;
}

/** What `zfs get` or `zpool get` has found. */
interface Told {
  /** The properties that are asked for. */
  readonly properties: readonly ShownProperty[];
  /** All that was looked at, which is how wide the columns are: name, property, value and what else there may be. */
  readonly all: readonly (readonly string[])[];
  /** Those of them that are told. */
  readonly rows: readonly (readonly string[])[];
}

/** Writes what `zfs get` or `zpool get` tells. @param known - the columns that its rows have */
export function tableOfGet(known: readonly string[], columns: readonly string[], told: Told, isScripted: boolean): string {
  return table(
    columns.map((column) => columnOfGet(column, told)),
    told.rows.map((row) => columns.map((column) => row[known.indexOf(column)] as string)),
    isScripted,
  );
}

/** A column of it: as wide as what can stand in it, of values as the columns of their properties. */
function columnOfGet(name: string, { properties, all: rows }: Told): Column {
  const heading = name.toUpperCase();
  const longest = (texts: readonly string[]): number => Math.max(heading.length, ...texts.map(({ length }) => length));
  const fixed = (width: number): Column => ({ heading, width, isRight: false, grows: false });
  if (name === "property") return fixed(longest(properties.map(({ property }) => property)));
  if (name === "name") return fixed(longest(rows.map(([of = ""]) => of)));
  if (name !== "value") return fixed(heading.length);
  const growing = new Set(properties.filter(({ column }) => column.grows).map(({ property }) => property));
  const values = rows.filter(([, property = ""]) => growing.has(property)).map(([, , value = ""]) => value);
  return fixed(Math.max(longest(values), ...properties.map(({ column }) => column.width)));
}
