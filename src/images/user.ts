/**
 * Users by name, as /etc/passwd and /etc/group of a container have them (runc libcontainer/user; moby v20.10.27
 * builder/dockerfile/internals_linux.go).
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_RDONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { scopedPath } from "../layers/scoped-path.ts";

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** Who a process runs as. */
export interface ExecUser extends Ids {
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** More of a file of users than anybody has. */
const FILE_MAX = 2 ** 20;
const ID = /^[+-]?\d+$/;

/** The lines of a file of the container, each cut at its colons. */
function rowsOf(inside: Task, path: string): string[][] | { readonly path: string; readonly errno: Errno } {
  const real = scopedPath(inside, path);
  const at = isDriverError(real) ? path : real;
  const fd = inside.open(at, O_RDONLY);
  if (isErrno(fd)) return { path: at, errno: fd };
  const read = inside.read(fd, FILE_MAX);
  inside.close(fd);
  if (isErrno(read)) return { path: at, errno: read };
  const lines = new TextDecoder().decode(read.toBytes()).split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => line.trim().split(":"));
}

/** The number of a user or a group in a file where the third field tells it. */
function idOf(inside: Task, root: string, name: string, kind: "user" | "group"): number | DriverError {
  if (ID.test(name)) return Number(name);
  const rows = rowsOf(inside, kind === "user" ? "/etc/passwd" : "/etc/group");
  const id = kind === "user" ? "uid" : "gid";
  const why = `can't find ${id} for ${kind} ${name}: `;
  if (!Array.isArray(rows)) return new DriverError(why + pathError("open", root + rows.path, rows.errno).message);
  const row = rows.find(([first]) => first === name);
  return row === undefined ? new DriverError(`${why}no such ${kind}: ${name}`) : numberOf(row[2]);
}

function numberOf(text: string | undefined): number {
  return text !== undefined && ID.test(text) ? Number(text) : 0;
}

/** `--chown`: a user, or USER:GROUP, names or numbers; one word stands for both. @param root - the container's on the host, for errors */
export function chownIds(inside: Task, root: string, chown: string): Ids | DriverError {
  const [user = "", group = user, ...more] = chown.split(":");
  if (more.length > 0) return new DriverError(`invalid chown string format: ${chown}`);
  const uid = idOf(inside, root, user, "user");
  if (isDriverError(uid)) return uid;
  const gid = idOf(inside, root, group, "group");
  return isDriverError(gid) ? gid : { uid, gid };
}

/**
 * Whom a container's process runs as: "" is root; of a user the group and the further groups stand in the files, and a number that is
 * not there has group 0.
 */
export function execUser(inside: Task, spec: string): ExecUser | DriverError {
  const [user = "", group = ""] = spec.split(":", 2);
  const users = rowsOf(inside, "/etc/passwd");
  const known = Array.isArray(users) ? users : [];
  // What looks like a number is one, even where somebody has it for a name.
  const row = known.find(([name, , uid]) => (user === "" ? uid === "0" : ID.test(user) ? uid === user : name === user));
  if (user !== "" && row === undefined && !ID.test(user))
    return new DriverError(`unable to find user ${user}: no matching entries in passwd file`);
  const uid = row === undefined ? numberOf(user) : numberOf(row[2]);
  const files = rowsOf(inside, "/etc/group");
  const groups = Array.isArray(files) ? files : [];
  if (group !== "") {
    const found = groups.find(([name, , gid]) => (ID.test(group) ? gid : name) === group);
    if (found === undefined && !ID.test(group))
      return new DriverError(`unable to find group ${group}: no matching entries in group file`);
    return { uid, gid: found === undefined ? numberOf(group) : numberOf(found[2]), groups: [] };
  }
  const member = row?.[0];
  const further = groups.filter((line) => member !== undefined && (line[3] ?? "").split(",").includes(member));
  return { uid, gid: row === undefined ? 0 : numberOf(row[3]), groups: further.map((line) => numberOf(line[2])) };
}
