/**
 * Values of drivers' options, as Docker parses them (moby pkg/parsers, docker/go-units).
 */
import { DriverError, type DriverSettings, isDriverError } from "./driver.ts";

/** What vfs and overlay2 say where the backing filesystem has no project quota (moby quota/types.go). */
export const QUOTA_NOT_SUPPORTED: DriverError = new DriverError("Filesystem does not support, or has not enabled quotas");

interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** "key=value"; the key in small letters. */
export function parseKeyValue(option: string): KeyValue | DriverError {
  const parsed = parseExactly(option);
  return isDriverError(parsed) ? parsed : { ...parsed, key: parsed.key.toLowerCase() };
}

/** "key=value", the key as it is: vfs alone does not look away from capitals. */
export function parseExactly(option: string): KeyValue | DriverError {
  const equals = option.indexOf("=");
  if (equals < 0) return new DriverError(`Unable to parse key/value option: ${option}`);
  return { key: option.slice(0, equals).trim(), value: option.slice(equals + 1).trim() };
}

/**
 * The options of a driver's union mounts: Docker's own, or those in their place, and what is given besides.
 * @param usual - Docker's own, separated by commas
 */
export function unionMountOptions({ mountOptions, moreMountOptions = "" }: DriverSettings, usual: string): readonly string[] {
  const words = (text: string): string[] => text.split(",").filter((word) => word !== "");
  const more = words(moreMountOptions);
  const given = new Set(more.map(optionName));
  return [...words(mountOptions ?? usual).filter((word) => !given.has(optionName(word))), ...more];
}

function optionName(word: string): string {
  return word.split("=", 1)[0] ?? "";
}

const SIZE = /^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?$/;
const POWERS = "kmgtp";

/** units.RAMInBytes: "50M" is 50 × 2^20. */
export function parseSize(text: string): number | DriverError {
  const parts = SIZE.exec(text);
  const amount = Number(parts?.[1]);
  if (parts === null || Number.isNaN(amount)) return new DriverError(`invalid size: '${text}'`);
  const power = parts[2] === undefined ? 0 : POWERS.indexOf(parts[2].toLowerCase()) + 1;
  return Math.floor(amount * 1024 ** power);
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** strconv.ParseBool. */
export function parseBool(text: string): boolean | DriverError {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  return new DriverError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}
