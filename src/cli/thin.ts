/**
 * `cowlab thin`: the thin tools on image files.
 */
import { existsSync, statSync } from "node:fs";
import type { BlockDevice } from "../../sim/block/device.ts";
import { FileDevice } from "../node/file-device.ts";
import { readText } from "../node/input-error.ts";
import { type ToolResult, thinCheck, thinCheckAndClear, thinDump, thinLs, thinRestore } from "../thin/commands.ts";
import { parseRegion, type Region, thinDelta, thinRmap } from "../thin/compare.ts";

const XML_BYTES_MAX = 2 ** 29 - 24;

function onImage(path: string, mode: "r" | "r+", tool: (device: BlockDevice) => ToolResult): ToolResult {
  if (!existsSync(path)) return { out: "", err: "Couldn't stat path\n", exitCode: 1 };
  if (statSync(path).isDirectory()) return { out: "", err: "Not a block device or regular file\n", exitCode: 1 };
  const device = new FileDevice(path, mode);
  try {
    return tool(device);
  } finally {
    device.close();
  }
}

/** What `cowlab thin` can do, by the name of the tool. */
export interface ThinOptions {
  readonly output?: string;
  readonly format?: string;
  readonly headers?: boolean;
  readonly quiet?: boolean;
  readonly clearNeedsCheckFlag?: boolean;
}

/** `thin dump IMAGE`. */
export function dump(image: string): ToolResult {
  return onImage(image, "r", thinDump);
}

/** `thin check IMAGE`; quiet: the exit code alone; clearing the flag writes to the image. */
export function check(image: string, { quiet = false, clearNeedsCheckFlag = false }: ThinOptions): ToolResult {
  const result = clearNeedsCheckFlag ? onImage(image, "r+", thinCheckAndClear) : onImage(image, "r", thinCheck);
  return quiet ? { ...result, out: "", err: "" } : result;
}

/** `thin ls IMAGE`. */
export function list(image: string, { format, headers = true }: ThinOptions): ToolResult {
  return onImage(image, "r", (device) => thinLs(device, { headers, ...(format === undefined ? {} : { format }) }));
}

/** `thin restore XML -o IMAGE`. */
export function restore(xml: string, { output }: ThinOptions): ToolResult {
  if (output === undefined) return { out: "", err: "No output file provided.\n", exitCode: 1 };
  if (!existsSync(xml)) return { out: "", err: "Couldn't stat file\n", exitCode: 1 };
  // thin_restore writes into what is there.
  if (!existsSync(output)) {
    const err = `Couldn't stat path: make ${output} first, such as with truncate -s 4M ${output}\n`;
    return { out: "", err, exitCode: 1 };
  }
  const text = readText(xml, XML_BYTES_MAX);
  return onImage(output, "r+", (device) => thinRestore(device, text));
}

function deviceId(name: string, word: string | undefined): number | ToolResult {
  if (word === undefined) return { out: "", err: `--${name} not specified.\n`, exitCode: 1 };
  return /^\d+$/.test(word) ? Number(word) : { out: "", err: `Couldn't parse thin id: '${word}'\n`, exitCode: 1 };
}

/** `thin delta IMAGE --snap1 ID --snap2 ID`. */
export function delta(
  image: string,
  options: { readonly snap1?: string; readonly snap2?: string; readonly verbose?: boolean },
): ToolResult {
  const left = deviceId("snap1", options.snap1);
  if (typeof left !== "number") return left;
  const right = deviceId("snap2", options.snap2);
  if (typeof right !== "number") return right;
  return onImage(image, "r", (device) => thinDelta(device, { left, right, verbose: options.verbose ?? false }));
}

/** `thin rmap IMAGE --region FROM..TO`. */
export function reverseMap(image: string, { region = [] }: { readonly region?: readonly string[] }): ToolResult {
  const regions: Region[] = [];
  for (const word of region) {
    const parsed = parseRegion(word);
    if (typeof parsed === "string") return { out: "", err: `${parsed}\n`, exitCode: 1 };
    regions.push(parsed);
  }
  return onImage(image, "r", (device) => thinRmap(device, regions));
}
