/**
 * The text behind -v of docker run (moby v20.10.27 volume/mounts/linux_parser.go, volume/local/local.go).
 */

/** One -v of docker run. */
export interface VolumeOption {
  /** A folder or file of the host (begins with "/"), a volume's name, or undefined for a volume without one. */
  readonly source: string | undefined;
  /** Where it is mounted: absolute, not the root. */
  readonly path: string;
  readonly readOnly: boolean;
  /** Whether a new volume gets what the image has there; bind mounts never do. */
  readonly copies: boolean;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MODES: ReadonlySet<string> = new Set(["ro", "rw", "nocopy"]);

/** An absolute path without "." and "..", double slashes and a slash at its end. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Reads `[SOURCE:]PATH[:MODE,…]`, modes `ro`, `rw` and `nocopy`. @returns the option, or Docker's words for what is wrong with it. */
export function parseVolume(text: string): VolumeOption | string {
  const wrong = `invalid volume specification: '${text}'`;
  const parts = text.split(":");
  if (parts.length > 3 || parts.includes("")) return wrong;
  const modes = parts.length === 3 || (parts.length === 2 && parts[1]?.startsWith("/") !== true) ? parts.pop() : undefined;
  const [first = "", second] = parts;
  const words = modes === undefined ? [] : modes.split(",");
  const unknown = words.find((word) => !MODES.has(word)) ?? (words.includes("ro") && words.includes("rw") ? modes : undefined);
  if (unknown !== undefined) return `${wrong}: invalid mode: ${unknown}`;
  const [source, target] = second === undefined ? [undefined, first] : [first, second];
  if (!target.startsWith("/")) return `${wrong}: invalid mount path: '${target}' mount path must be absolute`;
  const path = cleanPath(target);
  if (path === "/") return `${wrong}: invalid mount config: destination can't be '/'`;
  const isBind = source?.startsWith("/") === true;
  if (source !== undefined && !isBind && !NAME.test(source)) {
    return `create ${source}: "${source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`;
  }
  return {
    source: isBind ? cleanPath(source) : source,
    path,
    readOnly: words.includes("ro"),
    copies: !isBind && !words.includes("nocopy"),
  };
}
