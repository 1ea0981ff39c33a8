/** Flags of chattr(1) over a mount's end, and who may link what he has opened: what a trace cannot show. */
import { beforeEach, expect, test } from "vitest";
import { ENOENT, EPERM, isErrno } from "../../sim/core/errno.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { CAP_DAC_READ_SEARCH, credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_CREAT, O_RDONLY, O_RDWR, O_TMPFILE } from "../../sim/vfs/filesystem.ts";
import { must } from "./aufs-lab.ts";

const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;
let host: Host;

function mount(): void {
  const options = "lowerdir=/l,upperdir=/u,workdir=/w";
  expect(host.mount({ type: "overlay", source: "overlay", target: "/m", options })).toBeUndefined();
}
function flagsOf(path: string): number {
  const fd = must(host.task.open(path, O_RDONLY));
  const flags = must(host.task.getFlags(fd));
  host.task.close(fd);
  return flags as number;
}
function setFlags(path: string, flags: number): void {
  const fd = must(host.task.open(path, O_RDONLY));
  must(host.task.setFlags(fd, flags));
  host.task.close(fd);
}

beforeEach(() => {
  host = createHost();
  host.task.umask = 0;
  for (const path of ["/l", "/u", "/w", "/m"]) must(host.task.mkdir(path, 0o755));
  for (const path of ["/l/a", "/l/b"]) host.task.close(must(host.task.open(path, O_RDWR | O_CREAT, 0o644)) as number);
  mount();
});

test("the next mount over the same upper layer finds what protects its files, and lets it be taken away", () => {
  setFlags("/m/a", IMMUTABLE);
  setFlags("/m/b", APPEND_ONLY | IMMUTABLE);
  must(host.unmount("/m"));
  expect(new TextDecoder().decode(must(host.task.getxattr("/u/b", "trusted.overlay.protattr")))).toBe("ai");
  expect([flagsOf("/u/a"), flagsOf("/u/b")]).toEqual([0, 0]);
  mount();
  expect([flagsOf("/m/a"), flagsOf("/m/b")]).toEqual([IMMUTABLE, IMMUTABLE | APPEND_ONLY]);
  expect(host.task.unlink("/m/a")).toBe(EPERM);
  setFlags("/m/a", 0);
  expect(isErrno(host.task.getxattr("/u/a", "trusted.overlay.protattr"))).toBe(true);
  must(host.task.unlink("/m/a"));
  host.check();
});

test("an xattr with a letter that nobody knows protects nothing", () => {
  must(host.task.chmod("/m/a", 0o600));
  must(host.unmount("/m"));
  must(host.task.setxattr("/u/a", "trusted.overlay.protattr", new TextEncoder().encode("iq")));
  mount();
  expect(flagsOf("/m/a")).toBe(0);
});

test("a file without a name is linked by whoever opened it, and by others only with a capability", () => {
  must(host.task.chmod("/m", 0o777));
  const one = host.task.withCredentials(credentialsOf(7, 7));
  const fd = must(one.open("/m", O_TMPFILE | O_RDWR, 0o644)) as number;
  const again = one.withCredentials(credentialsOf(7, 7));
  expect(again.linkFile(fd, "/m/no")).toBe(ENOENT);
  must(one.linkFile(fd, "/m/one"));
  must(one.withCredentials({ ...credentialsOf(7, 7), capabilities: CAP_DAC_READ_SEARCH }).linkFile(fd, "/m/other"));
  host.check();
});
