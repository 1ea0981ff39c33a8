/**
 * The subcommands of `cowlab thin`; what they do is loaded when one runs.
 */
import type { Command } from "commander";
import { several } from "./scenario-commands.ts";

type Finish = (result: { readonly out: string; readonly err: string; readonly exitCode: number }) => void;

/** Adds `thin` and its tools; each says what it found, and exits as they do. */
export function addThinCommand(root: Command, write: (text: string) => void): void {
  const thin = root.command("thin").description("the thin tools on metadata images: dump, restore, check, list, compare");
  const finish: Finish = ({ out, err, exitCode }) => {
    process.stderr.write(err);
    write(out);
    process.exitCode = exitCode;
  };
  thin
    .command("dump")
    .description("print an image as XML, as thin_dump does")
    .argument("<image>")
    .action(async (image: string) => finish((await import("./thin.ts")).dump(image)));
  thin
    .command("restore")
    .description("write the image that an XML file describes, as thin_restore does")
    .argument("<xml>")
    .option("-o, --output <image>", "a file that is there and large enough")
    .action(async (xml: string, options: { output?: string }) => finish((await import("./thin.ts")).restore(xml, options)));
  thin
    .command("check")
    .description("look for faults, as thin_check does; exit code 1 where there are any")
    .argument("<image>")
    .option("-q, --quiet", "print nothing")
    .option("--clear-needs-check-flag", "where nothing is wrong, let a pool write again that needs a check")
    .action(async (image: string, options: { quiet?: boolean; clearNeedsCheckFlag?: boolean }) =>
      finish((await import("./thin.ts")).check(image, options)),
    );
  thin
    .command("ls")
    .description("list the devices of an image, as thin_ls does")
    .argument("<image>")
    .option("--no-headers", "without the first line")
    .option("-o, --format <fields>", "DEV, MAPPED, MAPPED_BLOCKS, … separated by commas")
    .action(async (image: string, options: { format?: string; headers?: boolean }) =>
      finish((await import("./thin.ts")).list(image, options)),
    );
  addComparisons(thin, finish);
}

function addComparisons(thin: Command, finish: Finish): void {
  thin
    .command("delta")
    .description("tell how the mappings of two devices of an image differ, as thin_delta does")
    .argument("<image>")
    .option("--snap1 <id>", "the left device")
    .option("--snap2 <id>", "the right device")
    .option("--verbose", "every range with its data blocks")
    .action(async (image: string, options: { snap1?: string; snap2?: string; verbose?: boolean }) =>
      finish((await import("./thin.ts")).delta(image, options)),
    );
  thin
    .command("rmap")
    .description("tell which devices map given data blocks, as thin_rmap does")
    .argument("<image>")
    .option("--region <from..to>", "data blocks, the last not included; again for more", several)
    .action(async (image: string, options: { region?: readonly string[] }) =>
      finish((await import("./thin.ts")).reverseMap(image, options)),
    );
}
