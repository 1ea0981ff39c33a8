/**
 * The subcommands of `cowlab image`; what they do is loaded when one runs.
 */
import type { Command } from "commander";
import { UsageError } from "./exit.ts";
import type { ImageOptions } from "./image.ts";

interface GivenOptions {
  readonly json?: boolean;
  readonly mode?: string;
}

function optionsOf({ json, mode }: GivenOptions): ImageOptions {
  if (mode !== undefined && mode !== "strict" && mode !== "docker")
    throw new UsageError(`--mode takes strict or docker, not "${mode}"`);
  return { ...(json === undefined ? {} : { json }), ...(mode === undefined ? {} : { mode }) };
}

/** Adds the command to the program. */
export function addImageCommand(root: Command, write: (text: string) => void): void {
  const image = root.command("image").description("look into image archives, and put them on a storage driver and back");
  image
    .command("ls")
    .description("list the images of an archive with their identifiers, all computed from the bytes")
    .argument("<file>", "an archive of docker save, or an OCI layout (archive or folder)")
    .option("--json", "print one JSON document")
    .option("--mode <mode>", "how the archive is judged: strict, or docker (as the daemon does)")
    .action(async (path: string, options: GivenOptions) => {
      const { listImages } = await import("./image.ts");
      write(await listImages(path, optionsOf(options)));
    });
}
