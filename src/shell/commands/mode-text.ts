/**
 * Modes as chmod reads them: octal, or changes such as u+x,g=u,o= (gnulib's modechange).
 */

interface Change {
  /** The classes it is for, as a mask of permission bits; 0: all, but for the umask. */
  readonly classes: number;
  readonly operator: "+" | "-" | "=";
  /** Bits for every class, "X" and a copied class apart. */
  readonly bits: number;
  readonly conditionalExecute: boolean;
  readonly copied: "u" | "g" | "o" | undefined;
}

/** An octal mode, or changes one after the other. */
export type ModeChange = { readonly octal: number; readonly digits: number } | { readonly changes: readonly Change[] };

const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

/** Reads a mode; undefined for a text that is none. */
export function readMode(text: string): ModeChange | undefined {
  if (/^[0-7]+$/.test(text)) {
    const octal = Number.parseInt(text, 8);
    return octal > 0o7777 ? undefined : { octal, digits: text.length };
  }
  const changes: Change[] = [];
  for (const clause of text.split(",")) {
    const [, who = "", rest] = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(clause) ?? [];
    if (rest === undefined) return undefined;
    const classes = [...who].reduce((sum, one) => sum | (CLASSES[one] ?? 0), 0);
    for (const [, operator, letters = ""] of rest.matchAll(/([-+=])([ugo]|[rwxXst]*)/g)) {
      const copied = /^[ugo]$/.test(letters) ? (letters as "u" | "g" | "o") : undefined;
      const bits = copied === undefined ? [...letters].reduce((sum, letter) => sum | (BITS[letter] ?? 0), 0) : 0;
      changes.push({ classes, operator: operator as "+", bits, conditionalExecute: letters.includes("X"), copied });
    }
  }
  return { changes };
}

/** The permission bits after a change. @param mode - permission bits (07777) before it */
export function changedMode(
  change: ModeChange,
  mode: number,
  of: { readonly directory: boolean; readonly umask: number },
): number {
  if ("octal" in change) {
    // A short octal mode leaves a directory's set-id bits alone.
    return of.directory && change.digits < 5 ? change.octal | (mode & 0o6000) : change.octal;
  }
  return change.changes.reduce((now, one) => {
    const mask = one.classes === 0 ? 0o7777 & ~of.umask : one.classes;
    let bits = one.bits;
    if (one.conditionalExecute && (of.directory || (now & 0o111) !== 0)) bits |= 0o111;
    if (one.copied !== undefined) {
      const three = one.copied === "u" ? now >> 6 : one.copied === "g" ? now >> 3 : now;
      bits |= (three & 7) * 0o111;
    }
    bits &= mask;
    if (one.operator === "+") return now | bits;
    if (one.operator === "-") return now & ~bits;
    const kept = one.classes === 0 ? 0 : ~one.classes & 0o7777;
    const special = of.directory ? now & 0o6000 : 0;
    return (now & kept) | bits | special;
  }, mode);
}
