/**
 * Texts out of scenarios and trees in each format: file names can hold anything but NUL and "/", and none of it may act on who reads a report.
 */

/** Of XML 1.0 and SVG: markup escaped; what XML cannot hold at all is shown as \xNN. */
export function xmlText(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\p{Cf}\u0080-\u009f]/gu, escaped)
    .replace(/[&<>"']/g, (unit) => `&#${unit.charCodeAt(0)};`);
}

function escaped(unit: string): string {
  const code = unit.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** A field of CSV (RFC 4180): quoted where needed; one that a spreadsheet would take for a formula begins with an apostrophe. */
export function csvField(value: string | number): string {
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\r\n']|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A cell of a Markdown table: one line, and no markup or HTML in it. */
export function markdownCell(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped)
    .replace(/[\\`*_{}[\]<>|~#&!$@]/g, (unit) =>
      unit === "<" ? "&lt;" : unit === ">" ? "&gt;" : unit === "&" ? "&amp;" : unit === "|" ? "\\|" : `\\${unit}`,
    );
}

/** What a log would obey or not show, line ends aside. */
const HIDDEN = /(?![\r\n])[\p{Cc}\p{Cf}]/gu;

/** The message of a GitHub workflow command. */
export function commandMessage(text: string): string {
  return text.replace(HIDDEN, escaped).replace(/[%\r\n]/g, encoded);
}

/** A property of a GitHub workflow command, such as file. */
export function commandProperty(text: string): string {
  return text.replace(HIDDEN, escaped).replace(/[%\r\n:,]/g, encoded);
}

function encoded(unit: string): string {
  return `%${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** A text as one word of a POSIX shell. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
