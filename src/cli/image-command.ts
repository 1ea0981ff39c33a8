/**
 * The subcommands of `cowlab image`; what they do is loaded when one runs.
 */
import type { Command } from "commander";
import { ArchiveFault } from "../archive/fault.ts";
import { InputError } from "../node/input-error.ts";
import { UsageError } from "./exit.ts";
import type { ImageOptions } from "./image.ts";
import type { PsOptions } from "./image-driver.ts";
import { several } from "./scenario-commands.ts";

interface GivenOptions {
  readonly json?: boolean;
  readonly mode?: string;
}

function optionsOf({ json, mode }: GivenOptions): ImageOptions {
  if (mode !== undefined && mode !== "strict" && mode !== "docker")
    throw new UsageError(`--mode takes strict or docker, not "${mode}"`);
  return { ...(json === undefined ? {} : { json }), ...(mode === undefined ? {} : { mode }) };
}

interface GivenImage {
  readonly driver?: string;
  readonly image?: string;
  readonly tag?: string;
  readonly message?: string;
  readonly write?: readonly string[];
}

function imageOptionsOf({ driver, image, tag, message, write }: GivenImage): PsOptions {
  return {
    ...(driver === undefined ? {} : { driver }),
    ...(image === undefined ? {} : { image }),
    ...(tag === undefined ? {} : { tag }),
    ...(message === undefined ? {} : { message }),
    ...(write === undefined ? {} : { write }),
  };
}

interface Subcommand {
  readonly name: string;
  readonly about: string;
  readonly run: (path: string, options: PsOptions) => Promise<string>;
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
    about: "tell what docker system df -v would; as JSON also what deleting would free",
    run: async (path, options) => (await import("./image-driver.ts")).usage(path, options),
    one: false,
  },
  {
    name: "info",
    about: "tell what docker info would of the images and the driver",
    run: async (path, options) => (await import("./image-driver.ts")).info(path, options),
    one: false,
  },
  {
    name: "ps",
    about:
      "make a container of each image, and tell what docker ps -as would; as JSON also what is shared and what removing would free",
    run: async (path, options) => (await import("./image-driver.ts")).ps(path, options),
    one: true,
  },
  {
    name: "tree",
    about: "draw which images stand on which layers",
    run: async (path, options) => (await import("./image-driver.ts")).tree(path, options),
    one: false,
  },
];

const ARCHIVE = "an archive of docker save, or an OCI layout (archive or folder); - is standard input";
const FILE =
  "an archive of docker save, an OCI layout (archive or folder), or a root filesystem, of which an image is made; - is standard input";

function withCommonOptions(command: Command, file = FILE): Command {
  return command
    .argument("<file>", file)
    .option("--json", "print one JSON document")
    .option("--mode <mode>", "how the archive is judged: strict, or docker (as the daemon does)");
}

/** For what comes without a name, and for root filesystems. */
function withImportOptions(command: Command): Command {
  return command
    .option("-t, --tag <reference>", "a name for the one image that comes without")
    .option("-m, --message <text>", "the comment of an image made of a root filesystem");
}

/** A fault of an archive with the archive's name before it. */
async function naming(path: string, work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ArchiveFault) throw new InputError(`${path}: ${error.code}: ${error.message}`);
    throw error;
  }
}

/** Adds the command to the program. */
export function addImageCommand(root: Command, write: (text: string) => void): void {
  const image = root.command("image").description("look into image archives, and put them on a storage driver and back");
  withCommonOptions(image.command("ls"), ARCHIVE)
    .description("list the images of an archive with their identifiers, all computed from the bytes")
    .action(async (path: string, options: GivenOptions) => {
      const { listImages } = await import("./image.ts");
      write(await naming(path, () => listImages(path, optionsOf(options))));
    });
  for (const { name, about, run, one } of ON_DRIVER) {
    const command = withCommonOptions(image.command(name)).description(about);
    command.option("--driver <name>", "the storage driver", "overlay2");
    if (one)
      command.option(
        "--image <name>",
        `which image, by ID or reference; default: ${name === "ps" ? "all" : "the first with a name"}`,
      );
    if (name === "ps")
      command.option(
        "--write <path:bytes>",
        "what each container writes at the end of a file; may be given several times",
        several,
      );
    withImportOptions(command).action(async (path: string, options: GivenOptions & GivenImage) => {
      write(await naming(path, () => run(path, { ...optionsOf(options), ...imageOptionsOf(options) })));
    });
  }
  withImportOptions(withCommonOptions(image.command("export")))
    .description("load the images on a storage driver, and save them again")
    .requiredOption(
      "-o, --output <path>",
      "the archive to write, or the folder: a registry's image, or an OCI layout where the path ends in / or is a folder",
    )
    .option("--driver <name>", "the storage driver", "overlay2")
    .option("--format <format>", "docker (up to version 24), docker-25, oci, or registry (a folder with one image)", "docker")
    .option("--image <name>", "which image goes to the registry, by ID or reference; default: the first with a name")
    .action(async (path: string, options: GivenOptions & GivenImage & { output: string; format: string }) => {
      const { exportImages } = await import("./image-export.ts");
      const { output, format } = options;
      const given = { ...optionsOf(options), ...imageOptionsOf(options), output, format };
      write(await naming(path, () => exportImages(path, given)));
    });
}
