/**
 * Every command of the shell by its name; cd, echo, true, false, : and test are in it as dash has them built in.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../sim/vfs/filesystem.ts";
import type { Command } from "../command.ts";
import type { Process } from "../process.ts";
import { cp } from "./cp.ts";
import { cat, sync, touch, truncate } from "./data.ts";
import { dd } from "./dd.ts";
import { find, ls, stat } from "./listing.ts";
import { mv } from "./mv.ts";
import { ln, mkdir, mkfifo, mknod } from "./names.ts";
import { chgrp, chmod, chown } from "./owners.ts";
import { rm, rmdir } from "./remove.ts";

const echo: Command = {
  name: "echo",
  about: "writes its words; -n without a line's end",
  options: [],
  verbatim: true,
  run: (process, { operands }) => {
    const bare = operands[0] === "-n";
    const failed = process.print(`${(bare ? operands.slice(1) : operands).join(" ")}${bare ? "" : "\n"}`);
    if (failed === undefined) return 0;
    process.complain("sh: 1: echo: echo: I/O error");
    return 1;
  },
};

const cd: Command = {
  name: "cd",
  about: "changes the directory that relative paths begin at, until the script ends",
  options: [],
  run: (process, { operands }) => {
    const path = operands[0] ?? "/";
    const failed = process.chdir(path);
    if (failed === undefined) return 0;
    process.complain(`sh: 1: cd: can't cd to ${path}`);
    return 2;
  },
};

/** `test -e FILE` and its relatives. */
function holds(process: Process, words: readonly string[]): boolean {
  const [first = "", second = ""] = words;
  if (first === "!") return !holds(process, words.slice(1));
  if (words.length === 3 && second === "=") return first === words[2];
  if (words.length === 3 && second === "!=") return first !== words[2];
  if (words.length === 1) return first !== "";
  const found = first === "-L" || first === "-h" ? process.lstat(second) : process.stat(second);
  if (isErrno(found)) return false;
  const type = found.mode & S_IFMT;
  if (first === "-f") return type === S_IFREG;
  if (first === "-d") return type === S_IFDIR;
  if (first === "-s") return found.size > 0;
  return first === "-L" || first === "-h" ? type === S_IFLNK : true;
}

const test: Command = {
  name: "test",
  about: "-e, -f, -d, -L, -s FILE; ONE = OTHER; the exit status tells",
  options: [],
  verbatim: true,
  run: (process, { operands }) => (holds(process, operands) ? 0 : 1),
};

function status(name: string, code: number): Command {
  return { name, about: `ends with status ${code}`, options: [], verbatim: true, run: () => code };
}

const ALL: readonly Command[] = [
  cat,
  cd,
  chgrp,
  chmod,
  chown,
  cp,
  dd,
  echo,
  status("false", 1),
  find,
  ln,
  ls,
  mkdir,
  mkfifo,
  mknod,
  mv,
  rm,
  rmdir,
  stat,
  sync,
  test,
  touch,
  status("true", 0),
  truncate,
];

/** Every command, by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(ALL.map((command) => [command.name, command]));
