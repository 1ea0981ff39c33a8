/**
 * tar (GNU tar 1.34): which archive, and what is done with it.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import { type Option, OptionFault, option, type Parsed, parseOptions } from "../options.ts";
import type { Process } from "../process.ts";
import { create } from "./tar-create.ts";
import { type ExtractRequest, extract } from "./tar-extract.ts";
import { TarReader } from "./tar-read.ts";

const DIRECTORY = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_CLOEXEC | fs.O_DIRECTORY;
const ONE_OF = "one of the '-Acdtrux', '--delete' or '--test-label' options";
const OPTIONS: readonly Option[] = [
  option("create", "-c --create"),
  option("extract", "-x --extract --get"),
  option("list", "-t --list"),
  option("file", "-f --file", "value"),
  option("directory", "-C --directory", "value"),
  option("verbose", "-v --verbose"),
  option("compressed", "-z --gzip -j --bzip2 -J --xz -a --auto-compress"),
  option("flat", "--no-recursion"),
  option("permissions", "-p --preserve-permissions --same-permissions"),
];

function unrecoverable(process: Process, message: string, errno?: Parameters<typeof fail>[2]): 2 {
  fail(process, `tar: ${message}`, errno);
  fail(process, "tar: Error is not recoverable: exiting now");
  return 2;
}

function usage(process: Process, message: string): 2 {
  process.complain(`tar: ${message}\nTry 'tar --help' or 'tar --usage' for more information.`);
  return 2;
}

/** The letters of a first word without "-", as tar has been called since 1979. */
function oldStyle({ values, operands }: Parsed): Parsed | OptionFault {
  const [first, ...rest] = operands;
  if (["create", "extract", "list"].some((key) => values.has(key)) || first === undefined || !/^[a-zA-Z]+$/.test(first))
    return { values, operands };
  const read = parseOptions(OPTIONS, [`-${first}`, ...rest]);
  return read instanceof OptionFault ? read : { values: new Map([...values, ...read.values]), operands: read.operands };
}

function createArchive(process: Process, archive: string, { values, operands }: Parsed): number {
  if (values.has("compressed")) return usage(process, "archives are made without compression here");
  if (operands.length === 0) return usage(process, "Cowardly refusing to create an empty archive");
  const toOutput = archive === "-";
  if (toOutput && process.output === undefined)
    return unrecoverable(process, "Refusing to write archive contents to terminal (missing -f option?)");
  const file = toOutput ? (process.output as OpenedFile) : process.creat(archive, 0o666);
  if (isErrno(file)) return unrecoverable(process, `${archive}: Cannot open`, file);
  const directory = values.get("directory");
  const request = { archive, file, directory, operands, verbose: values.has("verbose") && !toOutput, flat: values.has("flat") };
  const opened = directory === undefined ? undefined : openDirectory(process, directory);
  if (opened === "refused") return 2;
  const status = create(process, request);
  if (opened !== undefined) process.close(opened);
  if (!toOutput) process.close(file);
  return status;
}

/** Opens the directory of -C, as tar does before the first call in it. */
function openDirectory(process: Process, directory: string): OpenedFile | "refused" {
  const opened = process.open(directory, DIRECTORY);
  if (!isErrno(opened)) return opened;
  unrecoverable(process, `${directory}: Cannot open`, opened);
  return "refused";
}

function readArchive(process: Process, archive: string, given: Parsed): number {
  const fromInput = archive === "-";
  if (fromInput && process.input === undefined)
    return unrecoverable(process, "Refusing to read archive contents from terminal (missing -f option?)");
  const file = fromInput ? (process.input as OpenedFile) : process.open(archive, fs.O_RDONLY);
  if (isErrno(file)) return unrecoverable(process, `${archive}: Cannot open`, file);
  const reader = new TarReader(process, file);
  if (!reader.begin()) return unrecoverable(process, "Child returned status 1");
  process.fstat(file);
  process.fstat(file);
  process.stat("/");
  const status = readFrom(process, reader, given);
  if (!fromInput) process.close(file);
  return status;
}

/** Which members are asked for by operands: those of a name, and what lies below it. */
class Selection {
  readonly #found = new Set<string>();
  readonly #operands: readonly string[];

  constructor(operands: readonly string[]) {
    this.#operands = operands;
  }

  has(name: string): boolean {
    const bare = name.replace(/\/+$/, "");
    const fits = this.#operands.filter((operand) => {
      const asked = operand.replace(/\/+$/, "");
      return bare === asked || bare.startsWith(`${asked}/`);
    });
    for (const operand of fits) this.#found.add(operand);
    return this.#operands.length === 0 || fits.length > 0;
  }

  get missing(): readonly string[] {
    return this.#operands.filter((operand) => !this.#found.has(operand));
  }
}

function readFrom(process: Process, reader: TarReader, { values, operands }: Parsed): number {
  if (reader.failed !== undefined) return unrecoverable(process, "Cannot read", reader.failed);
  const selection = new Selection(operands);
  const shows = values.has("list") || values.has("verbose");
  const directory = values.get("directory");
  const request: ExtractRequest = {
    directory,
    isWanted: (name) => selection.has(name),
    told: (name) => (shows ? process.print(`${name}\n`) : undefined),
  };
  let status = 0;
  if (!reader.isArchive) status = 2 * fail(process, "tar: This does not look like a tar archive");
  else if (values.has("list")) status = list(reader, request);
  else {
    const opened = directory === undefined ? undefined : openDirectory(process, directory);
    if (opened === "refused") return 2;
    status = extract(process, reader, request);
    if (opened !== undefined) process.close(opened);
  }
  if (status === 0) for (const operand of selection.missing) status = 2 * fail(process, `tar: ${operand}: Not found in archive`);
  if (status !== 0) fail(process, "tar: Exiting with failure status due to previous errors");
  return status;
}

function list(reader: TarReader, { isWanted, told }: ExtractRequest): number {
  for (let member = reader.next(); member !== undefined; member = reader.next()) {
    if (member === "none") return 2;
    if (isWanted(member.name)) told(member.name);
  }
  return 0;
}

export const tar: Command = {
  name: "tar",
  about:
    "packs trees and unpacks them: -c, -x or -t, -f ARCHIVE (- for a pipe), -C DIRECTORY, -v; reads gzip, bzip2 and xz, packs without",
  options: OPTIONS,
  run: (process, words) => {
    const given = oldStyle(words);
    if (given instanceof OptionFault) return usage(process, given.message);
    const modes = ["create", "extract", "list"].filter((key) => given.values.has(key));
    if (modes.length === 0) return usage(process, `You must specify ${ONE_OF}`);
    if (modes.length > 1)
      return usage(process, "You may not specify more than one '-Acdtrux', '--delete' or  '--test-label' option");
    const archive = given.values.get("file") ?? "-";
    return modes[0] === "create" ? createArchive(process, archive, given) : readArchive(process, archive, given);
  },
};
