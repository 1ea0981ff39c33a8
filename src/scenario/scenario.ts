/**
 * A scenario as it is run: checked, with defaults filled in, and each part with its place in the file.
 */
import type { VolumeOption } from "../layers/volume-option.ts";
import type { Operation } from "./action.ts";
import type { NamedPlan } from "./faults.ts";
import type { Column } from "./metrics.ts";
import type { Place } from "./problem.ts";
import type { DriverName } from "./schema.ts";
import type { Bounds } from "./slots.ts";

/** A driver with its options; `id` names it in expectations and reports. */
export interface DriverChoice {
  readonly id: string;
  readonly driver: DriverName;
  readonly options: Readonly<Record<string, string>>;
  /** Instead of the host's. */
  readonly backing?: string;
  /** Instead of the host's. */
  readonly kernel?: string;
  /** Another Docker than the host's. */
  readonly docker?: string;
  readonly place: Place;
}

export interface HostChoice {
  readonly backing: string;
  /** Bytes. */
  readonly device: number;
  /** Bytes. */
  readonly memory: number;
  /** How many bytes are read ahead at most; undefined: nothing is. */
  readonly readahead?: number;
  readonly kernel: string;
  /** The version of Docker. */
  readonly docker: string;
  /** Options of the backing filesystem's mount. */
  readonly mount: string | undefined;
  /** Options of mkfs for that filesystem. */
  readonly mkfs?: string;
  /** The disk's cost profile; undefined: calls take no time. */
  readonly cost: string | undefined;
  /** How many inodes the backing filesystem may have: of a fault plan. */
  readonly inodes?: number;
}

export interface ImagePlan {
  readonly name: string;
  /** What the first layer stands on: another image, an archive or a folder. */
  readonly from: { readonly kind: "image" | "archive"; readonly name: string } | undefined;
  readonly layers: readonly LayerPlan[];
  /**
   * Docker's builder makes the layers, a container a step, committed: "classic", or "v1" as before 1.10, when the image is migrated at its
   * end. Absent: steps write the layers in place.
   */
  readonly build: "classic" | "v1" | undefined;
  /** The folder that COPY and ADD take files from, as the file writes it. */
  readonly context: string | undefined;
  /** Whether what it adds becomes one layer (docker build --squash). */
  readonly squash: boolean;
  readonly place: Place;
}

/** The images that one is built from: what it stands on, and what it copies from. */
export function imagesBelow({ from, layers }: ImagePlan): readonly string[] {
  const copied = layers.flatMap(({ operations }) => operations.flatMap((one) => (one.kind === "copy" ? (one.from ?? []) : [])));
  return from?.kind === "image" ? [from.name, ...copied] : copied;
}

export interface LayerPlan {
  readonly operations: readonly Operation[];
  /** The step as the file writes it. */
  readonly title: string;
  readonly place: Place;
}

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export interface StepPlan {
  readonly id: string;
  readonly container: string | undefined;
  readonly as: Credentials | undefined;
  /** Undefined: as it is for the action; 022 in a shell, none for a call. */
  readonly umask: number | undefined;
  /** How many times it is done, one after the other, as long as none fails. */
  readonly repeat: number;
  /** The step in a few words, such as `rename /a, to /b`. */
  readonly title: string;
  readonly operation: Operation;
  readonly expectations: readonly Expectation[];
  readonly place: Place;
}

/** The answer that a step is expected to have. */
type ExpectedAnswer =
  | { readonly kind: "ok" }
  | { readonly kind: "error"; readonly code: string }
  /** The error's text has these words in it. */
  | { readonly kind: "message"; readonly words: string }
  | { readonly kind: "value"; readonly value: unknown }
  /** A script's exit status, what it wrote, and words of its complaints. */
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "stdout"; readonly text: string }
  | { readonly kind: "stderr"; readonly words: string };

/** One expectation of one driver, or of every driver. */
export interface Expectation {
  /** A driver's id; undefined: every driver that has no answer of its own here. */
  readonly driver: string | undefined;
  readonly what: ExpectedAnswer | { readonly kind: "amount"; readonly column: Column; readonly bounds: Bounds };
  readonly place: Place;
  /** Told when it fails, and fails nothing. */
  readonly soft: boolean;
}

interface ContainerPlan {
  readonly name: string;
  /** What the file calls it: the name, or that of several which are numbered. */
  readonly written: string;
  readonly image: string;
  /** Bytes that it may write; undefined: as many as there are. */
  readonly size: number | undefined;
  /** Whether Docker's init layer lies between the image and it. */
  readonly init: boolean;
  /** Who acts in it (docker run --user); undefined: whom its image names. */
  readonly user: string | undefined;
  /** What is mounted in it. */
  readonly volumes: readonly VolumeOption[];
  readonly place: Place;
}

export interface Scenario {
  readonly file: string;
  readonly name: string;
  readonly about: string;
  /** The values of the matrix that this is, as the file writes them; empty without one. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly sources: readonly string[];
  readonly drivers: readonly DriverChoice[];
  readonly host: HostChoice;
  readonly seed: number;
  /** In the order of the file; an image that others stand on comes first. */
  readonly images: readonly ImagePlan[];
  readonly containers: readonly ContainerPlan[];
  readonly steps: readonly StepPlan[];
  /** What it can be run under. */
  readonly faults: readonly NamedPlan[];
  /** Of the whole run. */
  readonly expectations: readonly Expectation[];
  readonly compare: {
    readonly columns: readonly Column[];
    readonly reference: string | undefined;
    /** Nobody chose the columns: those in which nothing was counted on any driver are left out. */
    readonly byDefault: boolean;
  };
}
