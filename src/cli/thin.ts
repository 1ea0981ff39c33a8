/**
 * `cowlab thin`: the thin tools on image files.
 */
import { existsSync, readFileSync } from "node:fs";
import type { BlockDevice } from "../../sim/block/device.ts";
import { FileDevice } from "../node/file-device.ts";
import { type ToolResult, thinCheck, thinDump, thinLs, thinRestore } from "../thin/commands.ts";

function onImage(path: string, mode: "r" | "r+", tool: (device: BlockDevice) => ToolResult): ToolResult {
  if (!existsSync(path)) return { out: "", err: "Couldn't stat path\n", exitCode: 1 };
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
}

/** `thin dump IMAGE`. */
export function dump(image: string): ToolResult {
  return onImage(image, "r", thinDump);
}

/** `thin check IMAGE`; quiet: the exit code alone. */
export function check(image: string, { quiet = false }: ThinOptions): ToolResult {
  const result = onImage(image, "r", thinCheck);
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
  const text = readFileSync(xml, "utf8");
  return onImage(output, "r+", (device) => thinRestore(device, text));
}
