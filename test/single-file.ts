/** A program of the tests and all that it imports as one file: each of its processes begins at once. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

/** @returns the path of the file, in `folder`. */
export function singleFile(source: URL, folder: string): string {
  const entry = fileURLToPath(source);
  const outfile = join(folder, `${entry.replace(/^.*[/\\]|\.ts$/g, "")}.mjs`);
  buildSync({ entryPoints: [entry], outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  return outfile;
}
