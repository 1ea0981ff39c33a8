/**
 * Sizes as docker/go-units prints them in `docker info`.
 */
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** units.HumanSize: powers of 1000, four significant digits, no space: "65.54kB". */
export function humanSize(size: number): string {
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit + 1 < UNITS.length) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}
