/**
 * The options that a scenario can give a driver, as named data: what values each takes, and what it means to the driver.
 * Interface: a driver that has no row here takes any option, since nothing is known of it yet.
 */
import type { DriverSettings, TreeCopyEngine } from "../drivers/driver.ts";
import { quoted } from "./problem.ts";
import type { DriverName } from "./schema.ts";
import { suggestion } from "./suggest.ts";

/** What a driver is started with. */
export interface DriverStart {
  /** `--storage-opt` of the daemon. */
  readonly options: readonly string[];
  readonly settings: DriverSettings;
}

type Values = readonly string[];
const SWITCH: Values = ["on", "off"];

/** The mount options of overlayfs that an experiment may set. */
const OVERLAY_OPTIONS: Readonly<Record<string, Values>> = {
  redirect_dir: ["on", "off", "follow", "nofollow"],
  metacopy: SWITCH,
  index: SWITCH,
  xino: ["on", "off", "auto"],
  nfs_export: SWITCH,
};

const OPTIONS: Readonly<Partial<Record<DriverName, Readonly<Record<string, Values>>>>> = {
  overlay2: OVERLAY_OPTIONS,
  vfs: { copy: ["docker", "all"] },
};

/** The options of a driver, as `name=value|value`; empty for a driver that has none or is not there yet. */
export function optionWords(driver: DriverName): readonly string[] {
  return Object.entries(OPTIONS[driver] ?? {}).map(([name, values]) => `${name}=${values.join("|")}`);
}

/** What is wrong with one option; undefined when nothing is. */
export function optionFault(driver: DriverName, name: string, value: string): string | undefined {
  const known = OPTIONS[driver];
  if (known === undefined) return undefined;
  const values = Object.hasOwn(known, name) ? known[name] : undefined;
  if (values === undefined) return `the driver ${driver} has no option ${quoted(name)}${suggestion(name, Object.keys(known))}`;
  return values.includes(value)
    ? undefined
    : `${name} is ${values.join(" or ")}, not ${quoted(value)}${suggestion(value, values)}`;
}

/** Docker mounts with index=off unless the scenario says otherwise. */
function mountOptions(options: Readonly<Record<string, string>>): string {
  const all = { index: "off", ...options };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

/** What the options mean to the driver. */
export function startOf(driver: DriverName, options: Readonly<Record<string, string>>): DriverStart {
  if (Object.keys(options).length === 0) return { options: [], settings: {} };
  const { copy, ...others } = options;
  const treeCopy = copy === undefined ? {} : { treeCopy: copy as TreeCopyEngine };
  return { options: [], settings: OPTIONS[driver] === OVERLAY_OPTIONS ? { mountOptions: mountOptions(others) } : treeCopy };
}
