/** Amounts as zfs(8) and zpool(8) tell them without -p (lib/libzutil/zutil_nicenum.c). */

const UNITS = ["", "K", "M", "G", "T", "P", "E"] as const;

/** A number in five characters or less (zfs_nicenum). */
export function niceNumber(value: number): string {
  let index = 0;
  for (let rest = value; rest >= 1024 && index < UNITS.length - 1; rest = Math.floor(rest / 1024)) index += 1;
  const unit = UNITS[index] as string;
  const scaled = value / 1024 ** index;
  if (Number.isInteger(scaled)) return `${scaled}${unit}`;
  const texts = [2, 1, 0].map((digits) => `${scaled.toFixed(digits)}${unit}`);
  return texts.find((text) => text.length <= 5) ?? (texts[2] as string);
}

/** The same of bytes (zfs_nicebytes). */
export function niceBytes(value: number): string {
  return value < 1024 ? `${value}B` : niceNumber(value);
}
