/**
 * Every command of the shell by its name; cd, echo, true, false, : and test are in it as dash has them built in.
 */
import { Content } from "../../../sim/core/content.ts";
import { isErrno } from "../../../sim/core/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../../sim/vfs/filesystem.ts";
import { type Command, fail } from "../command.ts";
import type { Process } from "../process.ts";
import { cp } from "./cp.ts";
import { cat, sync, touch, truncate } from "./data.ts";
import { dd } from "./dd.ts";
import { df } from "./df.ts";
import { du } from "./du.ts";
import { find } from "./find.ts";
import { ls, stat } from "./listing.ts";
import { mv } from "./mv.ts";
import { ln, mkdir, mkfifo, mknod } from "./names.ts";
import { chgrp, chmod, chown } from "./owners.ts";
import { rm, rmdir } from "./remove.ts";
import { tar } from "./tar.ts";
import { head, tail, wc } from "./text.ts";

const echo: Command = {
  name: "echo",
  about: "writes its words; -n without a line's end",
  options: [],
  verbatim: true,
  run: (process, { operands }) => {
    const bare = operands[0] === "-n";
    const failed = process.printContent(Content.text(`${(bare ? operands.slice(1) : operands).join(" ")}${bare ? "" : "\n"}`));
    if (failed === undefined) return 0;
    process.complain("sh: 1: echo: echo: I/O error");
    return 1;
  },
};

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
  "\\": "\\",
};

/** One pass of a format over its words. @returns the text, and how many words it used */
function formatted(format: string, words: readonly string[]): readonly [string, number] {
  let used = 0;
  const text = format.replace(
    /\\([0-7]{1,3}|[\s\S])|%([%sd])/g,
    (whole, escaped: string | undefined, letter: string | undefined) => {
      if (escaped !== undefined)
        return /^[0-7]/.test(escaped) ? String.fromCharCode(Number.parseInt(escaped, 8)) : (ESCAPES[escaped] ?? whole);
      if (letter === "%") return "%";
      const word = words[used++];
      return letter === "d" ? String(Math.trunc(Number(word ?? 0))) : (word ?? "");
    },
  );
  return [text, used];
}

const printf: Command = {
  name: "printf",
  about: "writes words by a format: %s, %d, %%, \\n and other escapes; as often as there are words",
  options: [],
  verbatim: true,
  run: (process, { operands }) => {
    const [format, ...words] = operands;
    if (format === undefined) return fail(process, "sh: 1: printf: usage: printf format [arg ...]");
    let text = "";
    for (let at = 0; ; ) {
      const [piece, used] = formatted(format, words.slice(at));
      text += piece;
      at += used;
      if (used === 0 || at >= words.length) break;
    }
    return process.printContent(Content.text(text)) === undefined ? 0 : fail(process, "sh: 1: printf: printf: I/O error");
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
  df,
  du,
  echo,
  status("false", 1),
  find,
  head,
  ln,
  ls,
  mkdir,
  mkfifo,
  mknod,
  mv,
  printf,
  rm,
  rmdir,
  stat,
  sync,
  tail,
  tar,
  test,
  touch,
  status("true", 0),
  status(":", 0),
  truncate,
  wc,
];

/** Every command, by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(ALL.map((command) => [command.name, command]));
