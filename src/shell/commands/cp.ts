/**
 * cp (coreutils 9.1, src/cp.c): which files are copied where.
 */
import { type Errno, isErrno } from "../../../sim/core/errno.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../../../sim/vfs/filesystem.ts";
import { baseName, below, type Command, fail, missingOperand, quoted } from "../command.ts";
import { option, type Parsed } from "../options.ts";
import type { Process } from "../process.ts";
import { type Copying, copyOne } from "./copy.ts";

/** A directory that operands go into, or that the last operand is none. */
export type TargetDirectory = { readonly directory: string } | { readonly errno: Errno };

/** target_directory_operand: whether the last operand is a directory. */
export function targetDirectory(process: Process, path: string): TargetDirectory {
  const opened = process.open(path, O_RDONLY | O_PATH | O_DIRECTORY);
  return isErrno(opened) ? { errno: opened } : { directory: path };
}

/** The choices auto, always and never of an option; undefined for another word. */
function choice(text: string | undefined): "auto" | "always" | "never" | undefined {
  if (text === undefined) return "auto";
  if (text === "") return "always";
  return text === "auto" || text === "always" || text === "never" ? text : undefined;
}

function preserved({ values }: Parsed): Copying["preserve"] {
  const all = values.has("archive");
  const list = (values.get("preserve") ?? "").split(",");
  const given = values.has("preserve") && values.get("preserve") === "";
  const usual = all || values.has("p") || given;
  const has = (word: string): boolean => list.includes(word) || list.includes("all");
  return {
    mode: usual || has("mode"),
    owner: usual || has("ownership"),
    times: usual || has("timestamps"),
    links: all || values.has("d") || has("links"),
    xattrs: all || has("xattr"),
  };
}

function copyingOf(given: Parsed, several: boolean): Copying | undefined {
  const { values } = given;
  const [sparse, reflink] = [choice(values.get("sparse")), choice(values.get("reflink"))];
  if (sparse === undefined || reflink === undefined) return undefined;
  const recursive = values.has("recursive") || values.has("archive");
  const never =
    values.has("archive") || values.has("d") || values.has("P") || (recursive && !values.has("L") && !values.has("H"));
  return {
    command: "cp",
    recursive,
    dereference: values.has("L") ? "always" : never ? "never" : values.has("H") ? "command line" : "always",
    preserve: preserved(given),
    sparse,
    reflink: sparse === "always" || reflink !== "auto" ? reflink : "auto",
    hardLink: values.has("link"),
    symbolicLink: values.has("symbolic"),
    noClobber: values.has("no-clobber"),
    update: values.has("update"),
    force: values.has("force"),
    removeDestination: values.has("remove"),
    several,
    copied: new Map(),
    own: {},
  };
}

export const cp: Command = {
  name: "cp",
  about: "copies files; -r trees, -a as they are",
  options: [
    option("recursive", "-r -R --recursive"),
    option("archive", "-a --archive"),
    option("p", "-p"),
    option("preserve", "--preserve", "value after ="),
    option("d", "-d"),
    option("P", "-P --no-dereference"),
    option("L", "-L --dereference"),
    option("H", "-H"),
    option("force", "-f --force"),
    option("no-clobber", "-n --no-clobber"),
    option("update", "-u --update"),
    option("link", "-l --link"),
    option("symbolic", "-s --symbolic-link"),
    option("remove", "--remove-destination"),
    option("directory", "-t --target-directory", "value"),
    option("no-directory", "-T --no-target-directory"),
    option("sparse", "--sparse", "value after ="),
    option("reflink", "--reflink", "value after ="),
  ],
  run: (process, given) => {
    const { values, operands } = given;
    const named = values.get("directory");
    const [first] = operands;
    if (first === undefined) return missingOperand(process, "cp");
    if (operands.length === 1 && named === undefined) return missingOperand(process, "cp", first);
    const pairs = pairsOf(process, given);
    if (pairs === undefined) return 1;
    const how = copyingOf(given, pairs.length > 1);
    if (how === undefined) return fail(process, "cp: invalid argument: --sparse and --reflink take auto, always or never");
    let status = 0;
    for (const { from, to, destination } of pairs) {
      delete how.own.made;
      if (!copyOne(process, { from, to, destination, onCommandLine: true }, how)) status = 1;
    }
    return status;
  },
};

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly destination: "unknown" | "no directory";
}

function pairsOf(process: Process, { values, operands }: Parsed): readonly Pair[] | undefined {
  const into = (directory: string, files: readonly string[]): readonly Pair[] =>
    files.map((from) => ({ from, to: below(directory, baseName(from)), destination: "unknown" }));
  const named = values.get("directory");
  const last = named ?? operands.at(-1) ?? "";
  const files = named === undefined ? operands.slice(0, -1) : operands;
  if (values.has("no-directory")) {
    if (operands.length === 2) return [{ from: operands[0] ?? "", to: last, destination: "unknown" }];
    fail(process, `cp: extra operand ${quoted(operands[2] ?? "")}\nTry 'cp --help' for more information.`);
    return undefined;
  }
  const found = targetDirectory(process, last);
  if ("directory" in found) return into(found.directory, files);
  if (named !== undefined || files.length > 1) {
    fail(process, `cp: target ${named === undefined ? "" : "directory "}${quoted(last)}`, found.errno);
    return undefined;
  }
  return [{ from: files[0] ?? "", to: last, destination: found.errno.code === "ENOENT" ? "no directory" : "unknown" }];
}
