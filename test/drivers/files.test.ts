/** Go's os package over a host's files. */
import { expect, test } from "vitest";
import { createHost } from "../../sim/host.ts";
import { rename } from "../../src/drivers/files.ts";

test.each([
  ["an empty directory, which rename(2) would take away", "/source", "/empty", "rename /source /empty: file exists"],
  ["a directory with something in it", "/source", "/filled", "rename /source /filled: file exists"],
  [
    "a directory, where the old name is not there either",
    "/nothing",
    "/empty",
    "rename /nothing /empty: no such file or directory",
  ],
  ["nothing", "/source", "/new", undefined],
])("os.Rename onto %s", (_, source, target, message) => {
  const { task } = createHost();
  for (const path of ["/source", "/empty", "/filled", "/filled/below"]) expect(task.mkdir(path)).toBeUndefined();
  expect(rename(task, source, target)?.message).toBe(message);
});
