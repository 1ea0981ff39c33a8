/**
 * `cowlab doctor`: what this machine can check the simulator against, and what not, with the reason. Nothing is changed on it.
 */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { formatJson } from "../calls/json.ts";
import { driverStates } from "../scenario/machine.ts";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly why: string;
}

function hasProgram(name: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function kernelHas(type: string): boolean {
  try {
    return new RegExp(`\\b${type}$`, "m").test(readFileSync("/proc/filesystems", "utf8"));
  } catch {
    return false;
  }
}

/** Everything that is looked at. */
function findings(environment: Readonly<Record<string, string | undefined>>): readonly Finding[] {
  const path = `${environment["PATH"] ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isNewEnough = major > 20 || (major === 20 && minor >= 19);
  const isRoot = process.getuid?.() === 0;
  const isLinux = process.platform === "linux";
  const onKernel = (what: string, needs: readonly string[], type: string | undefined): Finding => {
    const lacking = [
      ...(isLinux ? [] : ["Linux"]),
      ...(isRoot ? [] : ["root"]),
      ...needs.filter((name) => !hasProgram(name, path)),
      ...(type === undefined || kernelHas(type) ? [] : [`a kernel with ${type}`]),
    ];
    return { what, ok: lacking.length === 0, why: lacking.length === 0 ? "" : `needs ${lacking.join(", ")}` };
  };
  const ready = driverStates().filter(({ state }) => state === "ready").length;
  return [
    { what: "Node 20.19 or later", ok: isNewEnough, why: isNewEnough ? "" : `this is ${process.versions.node}` },
    { what: "all storage drivers simulated", ok: ready === driverStates().length, why: "" },
    onKernel("check overlay2 against this kernel (in a checkout: npm run test:kernel)", ["mount", "mkfs.ext4"], "overlay"),
    onKernel("check ext4", ["mkfs.ext4"], "ext4"),
    onKernel("check xfs", ["mkfs.xfs"], "xfs"),
    onKernel("check btrfs", ["mkfs.btrfs"], "btrfs"),
    onKernel("check aufs", [], "aufs"),
    onKernel("check zfs", ["zpool", "zfs"], "zfs"),
    onKernel("check thin pools in the kernel", ["dmsetup"], undefined),
    onKernel("check thin pools' metadata with the thin tools", ["thin_check", "thin_dump"], undefined),
    onKernel("record what coreutils ask of the kernel", ["strace", "mkfs.ext4"], "overlay"),
    { what: "compare with a real Docker", ok: existsSync("/var/run/docker.sock"), why: "needs a running Docker" },
  ];
}

/** The list; ends with a newline. */
export function doctor(json: boolean, environment: Readonly<Record<string, string | undefined>>): string {
  const found = findings(environment);
  if (json) return `${formatJson({ format: "cowlab-doctor", version: 1, findings: found.map((one) => ({ ...one })) }, 2)}\n`;
  const lines = found.map(({ what, ok, why }) => `${ok ? "yes" : "no "}  ${what}${ok || why === "" ? "" : `: ${why}`}`);
  return `${lines.join("\n")}\n`;
}
