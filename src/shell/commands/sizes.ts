/**
 * Sizes as coreutils read and print them.
 */

const LETTERS = "KMGTPE";

/** 4k, 1M, 10MB, 2GiB, 512b (gnulib's xstrtoumax with its suffixes); undefined for another text. */
export function sizeOf(text: string): number | undefined {
  const [, digits, letter = "", rest = ""] = /^(\d+)([cwbkKMGTPE]?)(B|iB)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const count = Number(digits);
  if (letter === "c" || letter === "") return rest === "" ? count : undefined;
  if (letter === "w") return count * 2;
  if (letter === "b") return count * 512;
  const power = LETTERS.indexOf(letter.toUpperCase()) + 1;
  return count * (rest === "B" ? 1000 : 1024) ** power;
}

/** An amount in the largest unit of which there is a whole one, and which power of the base that unit is. */
function scaledBy(base: number, bytes: number): { readonly amount: number; readonly power: number } {
  let power = 0;
  let amount = bytes;
  while (amount >= base && power < LETTERS.length) {
    amount /= base;
    power += 1;
  }
  return { amount, power };
}

/** A size in one unit of four characters at most: "12 kB", "1.0 MiB" (gnulib's human_readable, rounded up as dd does). */
export function humanSize(bytes: number, base: 1000 | 1024): string {
  const suffix = base === 1000 ? "B" : "iB";
  const { amount, power } = scaledBy(base, bytes);
  if (power === 0) return `${bytes} B`;
  const letter = base === 1000 && power === 1 ? "k" : (LETTERS[power - 1] ?? "");
  const shown = amount < 9.95 ? amount.toFixed(1) : String(Math.round(amount));
  return `${shown} ${letter}${suffix}`;
}

/** Bytes with a letter, rounded up: 4.0K, 12M. */
export function humanText(bytes: number): string {
  const { amount, power } = scaledBy(1024, bytes);
  if (power === 0) return String(bytes);
  const tenths = Math.ceil(amount * 10) / 10;
  const text = tenths < 10 ? tenths.toFixed(1) : String(Math.ceil(amount));
  return text === "1024" ? `1.0${LETTERS[power] ?? ""}` : `${text}${LETTERS[power - 1] ?? ""}`;
}
