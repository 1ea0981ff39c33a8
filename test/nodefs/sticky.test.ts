/** What rm answers where a folder is sticky and the file another's: seen of Node 20.20 on Linux 6.18, ext4 and overlayfs, as user 1000. */
import { expect, test } from "vitest";
import { type Lower, type OverlayFs, overlayFs } from "../../src/entry/fs.ts";

const STICKY: Lower = {
  fill: (task) => {
    task.mkdir("/tmp", 0o1777);
    const fd = task.open("/tmp/others", 0o101, 0o644);
    if (typeof fd === "number") task.close(fd);
  },
};

const sticky = (): OverlayFs => overlayFs({ semantics: "vfs", user: { uid: 1000, gid: 1000 }, lower: [STICKY] });

test.each([
  ["rmSync", async (fs: OverlayFs) => fs.rmSync("/tmp/others")],
  ["promises.rm", (fs: OverlayFs) => fs.promises.rm("/tmp/others", { force: true })],
])("%s of another's file in a sticky folder fails as a folder that cannot be read", async (_, remove) => {
  await expect(remove(sticky())).rejects.toMatchObject({ code: "ENOTDIR", syscall: "scandir", path: "/tmp/others" });
});

test("unlink of it is not permitted", () => {
  expect(() => sticky().unlinkSync("/tmp/others")).toThrow("EPERM: operation not permitted, unlink '/tmp/others'");
});
