/**
 * The subcommands of `cowlab btrfs`; what they do is loaded when one runs.
 */
import type { Command } from "commander";

interface SendOptions {
  readonly output: string;
  readonly parent?: string;
  readonly name?: string;
}

/** Adds `btrfs send` and `btrfs receive`. */
export function addBtrfsCommand(root: Command, write: (text: string) => void): void {
  const btrfs = root.command("btrfs").description("make send streams of folders, and receive them into a simulated btrfs");
  btrfs
    .command("send")
    .description("write a folder as a send stream, whole or as the difference to another folder")
    .argument("<folder>")
    .requiredOption("-o, --output <file>", "where the stream goes")
    .option("-p, --parent <folder>", "what the receiver has")
    .option("-n, --name <name>", "the subvolume's name in the stream (default: snapshot)")
    .action(async (folder: string, options: SendOptions) => {
      const { sendFolder } = await import("./btrfs.ts");
      write(sendFolder(folder, options));
    });
  btrfs
    .command("receive")
    .description("receive streams one after the other, and print what is there then")
    .argument("<stream...>")
    .option("--dump", "only print their commands, as btrfs receive --dump does")
    .action(async (paths: string[], options: { dump?: boolean }) => {
      const { dump, receiveStreams } = await import("./btrfs.ts");
      write(options.dump === true ? dump(paths) : receiveStreams(paths));
    });
}
