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
/** Words of a mode by kind; of each kind one may be given. Labels, consistency and propagation change nothing of what is stored. */
const MODES: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["nocopy"],
  ["z", "Z"],
  ["consistent", "cached", "delegated"],
  ["private", "rprivate", "slave", "rslave", "shared", "rshared"],
];
const [, COPY = [], , , PROPAGATION = []] = MODES;

function isMode(text: string): boolean {
  const words = text.split(",");
  return (
    words.every((word) => MODES.some((kind) => kind.includes(word))) &&
    MODES.every((kind) => words.filter((word) => kind.includes(word)).length <= 1)
  );
}

/** An absolute path without "." and "..", double slashes and a slash at its end. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Reads `PATH` or `SOURCE:PATH[:MODE,…]`. @returns the option, or Docker's words for what is wrong with it. */
export function parseVolume(text: string): VolumeOption | string {
  const wrong = `invalid volume specification: '${text}'`;
  const parts = text.split(":");
  const [first = "", second, mode] = parts;
  // A volume without a source has no mode.
  if (parts.length > 3 || parts.includes("") || (parts.length === 2 && isMode(second ?? ""))) return wrong;
  if (mode !== undefined && !isMode(mode)) return `invalid mode: ${mode}`;
  const [source, target] = second === undefined ? [undefined, first] : [first, second];
  const isBind = source?.startsWith("/") === true;
  const unfit = (what: string): string => `${wrong}: invalid mount config for type "${isBind ? "bind" : "volume"}": ${what}`;
  const words = mode === undefined ? [] : mode.split(",");
  const given = (kind: readonly string[]): boolean => words.some((word) => kind.includes(word));
  if (!target.startsWith("/")) return unfit(`invalid mount path: '${target}' mount path must be absolute`);
  const path = cleanPath(target);
  if (path === "/") return unfit("invalid specification: destination can't be '/'");
  if (isBind && given(COPY)) return unfit("field VolumeOptions must not be specified");
  if (!isBind && given(PROPAGATION)) return unfit("field BindOptions must not be specified");
  const misnamed = source === undefined || isBind ? undefined : nameFault(source);
  if (misnamed !== undefined) return misnamed;
  return {
    source: isBind ? cleanPath(source) : source,
    path,
    readOnly: words.includes("ro"),
    copies: !isBind && !given(COPY),
  };
}

/** What the local driver says of a volume's name. */
function nameFault(name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  if (name.length === 1) return `create ${name}: volume name is too short, names should be at least two alphanumeric characters`;
  const advice = "If you intended to pass a host directory, use absolute path";
  return `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ${advice}`;
}
