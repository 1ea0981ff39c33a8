/**
 * The subcommands of `cowlab image`; what they do is loaded when one runs.
 */
import type { Command } from "commander";
import { UsageError } from "./exit.ts";
import type { ImageOptions } from "./image.ts";
import type { DriverImageOptions } from "./image-driver.ts";

interface GivenOptions {
  readonly json?: boolean;
  readonly mode?: string;
}

function optionsOf({ json, mode }: GivenOptions): ImageOptions {
  if (mode !== undefined && mode !== "strict" && mode !== "docker")
    throw new UsageError(`--mode takes strict or docker, not "${mode}"`);
  return { ...(json === undefined ? {} : { json }), ...(mode === undefined ? {} : { mode }) };
}

interface Subcommand {
  readonly name: string;
  readonly about: string;
  readonly run: (path: string, options: DriverImageOptions) => Promise<string>;
  /** Whether it is about one image of the archive. */
  readonly one: boolean;
}

const ON_DRIVER: readonly Subcommand[] = [
  {
    name: "import",
    about: "load the images on a storage driver, as docker load does",
    run: async (path, options) => (await import("./image-driver.ts")).importImages(path, options),
    one: false,
  },
  {
    name: "inspect",
    about: "tell what docker image inspect would",
    run: async (path, options) => (await import("./image-driver.ts")).inspect(path, options),
    one: true,
  },
  {
    name: "history",
    about: "tell what docker history would",
    run: async (path, options) => (await import("./image-driver.ts")).history(path, options),
    one: true,
  },
  {
    name: "df",
    about: "tell what docker system df -v would of images",
    run: async (path, options) => (await import("./image-driver.ts")).usage(path, options),
    one: false,
  },
  {
    name: "tree",
    about: "draw which images stand on which layers",
    run: async (path, options) => (await import("./image-driver.ts")).tree(path, options),
    one: false,
  },
];

const FILE = "an archive of docker save, or an OCI layout (archive or folder)";

function withCommonOptions(command: Command): Command {
  return command
    .argument("<file>", FILE)
    .option("--json", "print one JSON document")
    .option("--mode <mode>", "how the archive is judged: strict, or docker (as the daemon does)");
}

/** Adds the command to the program. */
export function addImageCommand(root: Command, write: (text: string) => void): void {
  const image = root.command("image").description("look into image archives, and put them on a storage driver and back");
  withCommonOptions(image.command("ls"))
    .description("list the images of an archive with their identifiers, all computed from the bytes")
    .action(async (path: string, options: GivenOptions) => {
      const { listImages } = await import("./image.ts");
      write(await listImages(path, optionsOf(options)));
    });
  for (const { name, about, run, one } of ON_DRIVER) {
    const command = withCommonOptions(image.command(name)).description(about);
    command.option("--driver <name>", "the storage driver", "overlay2");
    if (one) command.option("--image <name>", "which image, by ID or reference; default: the first");
    command.action(async (path: string, options: GivenOptions & { driver?: string; image?: string }) => {
      const { driver, image: name } = options;
      write(await run(path, { ...optionsOf(options), ...(driver ? { driver } : {}), ...(name ? { image: name } : {}) }));
    });
  }
  withCommonOptions(image.command("export"))
    .description("load the images on a storage driver, and save them again")
    .requiredOption("-o, --out <file>", "the archive to write")
    .option("--driver <name>", "the storage driver", "overlay2")
    .option("--format <format>", "docker (up to version 24), docker-25, or oci", "docker")
    .action(async (path: string, options: GivenOptions & { driver?: string; out: string; format: string }) => {
      const { exportImages } = await import("./image-driver.ts");
      const { driver, out, format } = options;
      write(await exportImages(path, { ...optionsOf(options), ...(driver ? { driver } : {}), out, format }));
    });
}
