/**
 * Sizes as docker/go-units prints them.
 */
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/**
 * units.HumanSizeWithPrecision: powers of 1000, no space: "65.54kB".
 * @param digits - significant ones at most, as Go's %g has them: 999,600 bytes in three are "1e+03kB"
 */
export function humanSize(size: number, digits = 4): string {
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit + 1 < UNITS.length) {
    value /= 1000;
    unit += 1;
  }
  const text = value.toPrecision(digits);
  const exponent = /^(\d)(?:\.(\d*?)0*)?e\+(\d+)$/.exec(text);
  if (exponent === null) return `${Number(text)}${UNITS[unit]}`;
  const [, whole = "", fraction = "", power = ""] = exponent;
  return `${whole}${fraction === "" ? "" : `.${fraction}`}e+${power.padStart(2, "0")}${UNITS[unit]}`;
}
