/**
 * Calls that make, move and remove names.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from "../../sim/vfs/filesystem.ts";
import { type CallTable, call, descriptorOf, type MakeCall } from "./call.ts";
import { FILE_TYPES } from "./show.ts";
import { bitsOf, choiceOf, deviceOf, modeOf, textOf } from "./step.ts";

/** Bits of renameat2(2) by their names. */
export const RENAME_FLAGS: Readonly<Record<string, number>> = {
  NOREPLACE: RENAME_NOREPLACE,
  EXCHANGE: RENAME_EXCHANGE,
  WHITEOUT: RENAME_WHITEOUT,
};

/** Another name for what a path leads to, or for an open file (AT_EMPTY_PATH), which may have none. */
const link: MakeCall = (session, task, step) => {
  if (step["fd"] === undefined) return task.link(textOf(step, "path"), textOf(step, "to"));
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  // Each step as somebody sets its ids anew: these credentials are not those that opened the file, whoever that was.
  if (step["as"] === undefined) return task.linkFile(fd, textOf(step, "to"));
  const by = task.withCredentials({ ...task.credentials });
  const failed = by.linkFile(fd, textOf(step, "to"));
  by.exit(false);
  return failed;
};

/** Calls on names, by name. */
export const NAME_CALLS: CallTable = {
  mkdir: call("path mode?", (_, task, step) => task.mkdir(textOf(step, "path"), modeOf(step, "mode", 0o755))),
  rmdir: call("path", (_, task, step) => task.rmdir(textOf(step, "path"))),
  unlink: call("path", (_, task, step) => task.unlink(textOf(step, "path"))),
  link: call("path? fd? to", link),
  symlink: call("target path", (_, task, step) => task.symlink(textOf(step, "target"), textOf(step, "path"))),
  readlink: call("path", (_, task, step) => task.readlink(textOf(step, "path"))),
  rename: call("path to flags?", (_, task, step) =>
    task.rename(textOf(step, "path"), textOf(step, "to"), bitsOf(step, "flags", RENAME_FLAGS)),
  ),
  mknod: call("path type mode? rdev?", (_, task, step) => {
    const [major, minor] = deviceOf(step, "rdev");
    const mode = choiceOf(step, "type", FILE_TYPES) | modeOf(step, "mode", 0o644);
    return task.mknod(textOf(step, "path"), mode, deviceNumber(major, minor));
  }),
};
