/** Whom `docker run -u` starts as, recorded with docker 20.10.24 and `id` in an image with these files. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_CREAT } from "../../sim/vfs/filesystem.ts";
import { writePath } from "../../src/calls/write-all.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { buildStep } from "../../src/images/builder.ts";
import { execUser } from "../../src/images/user.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

const PASSWD = "root:x:0:0:root:/:/bin/sh\nbob:x:77:88::/:/bin/sh\n";
const GROUP = "root:x:0:\nstaff:x:50:bob,root\nteam:x:60:bob\n";

/** What `id` says, or Docker. */
function idOf(user: string): string {
  const daemon = daemonOn("vfs");
  let shown = "";
  must(
    buildStep(daemon, undefined, { verb: "RUN", text: "files" }, ({ task }) => {
      for (const [path, text] of [
        ["/etc/passwd", PASSWD],
        ["/etc/group", GROUP],
      ] as const)
        must(writePath(task, path, { flags: O_CREAT, mode: 0o644 }, Content.text(text)));
      const found = execUser(task, user);
      shown = isDriverError(found) ? found.message : `${found.uid}:${found.gid} ${found.groups.join(",")}`.trim();
      return undefined;
    }),
  );
  return shown;
}

test.each([
  ["", "0:0 50"],
  ["bob", "77:88 50,60"],
  ["77", "77:88 50,60"],
  ["bob:team", "77:60"],
  ["5", "5:0"],
  ["5:6", "5:6"],
  ["bob:5", "77:5"],
  [":50", "0:50"],
  ["nope", "unable to find user nope: no matching entries in passwd file"],
  ["bob:nope", "unable to find group nope: no matching entries in group file"],
])("a container of user %j is %s", (user, id) => {
  expect(idOf(user)).toBe(id);
});
