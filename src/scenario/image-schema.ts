/**
 * Images and containers of scenario files, as zod schemas.
 */
import { z } from "zod";
import { parseVolume, type VolumeOption } from "../layers/volume-option.ts";
import { type Action, actionUnion, type Operation } from "./action.ts";
import { countText } from "./figures.ts";
import { oneOf, type Slots } from "./slots.ts";

/** Containers of a scenario at most. */
export const CONTAINERS_MAX = 10_000;

export interface WrittenContainer {
  readonly image: string;
  readonly count?: number | undefined;
  readonly size?: number | undefined;
  readonly init?: boolean | undefined;
  readonly user?: string | undefined;
  readonly volumes?: readonly VolumeOption[] | undefined;
}
export interface WrittenImage {
  readonly from?: string | undefined;
  readonly layers?: readonly (Operation | readonly Operation[])[] | undefined;
  readonly build?: "classic" | "v1" | undefined;
  readonly context?: string | undefined;
  readonly squash?: boolean | undefined;
}

/**
 * An image.
 * @param fileOperations - what a layer of several actions may have
 * @param layerOperations - what may be a layer of its own
 */
export function imageSchema(
  slots: Slots,
  fileOperations: readonly Action[],
  layerOperations: readonly Action[],
): z.ZodType<WrittenImage, unknown> {
  return z.strictObject({
    from: slots.text.optional().meta({
      description:
        "another image of this file, an image archive (docker save, OCI layout), a root filesystem's tar or folder, or scratch",
    }),
    layers: z.array(actionUnion(layerOperations, z.array(actionUnion(fileOperations)))).optional(),
    build: oneOf("builder", ["classic", "v1"]).optional().meta({
      description:
        "Docker's builder makes the layers: each item is a RUN in a container that is committed; v1: as before Docker 1.10, then migrated",
    }),
    squash: z.boolean().optional().meta({ description: "what the build adds becomes one layer (docker build --squash)" }),
    context: slots.text.optional().meta({
      description: "the folder beside the scenario's file that `copy` and `add` take files from; its .dockerignore holds",
    }),
  }) as unknown as z.ZodType<WrittenImage, unknown>;
}

/** Containers of one name. */
export function containerSchema(slots: Slots): z.ZodType<WrittenContainer, unknown> {
  return z.strictObject({
    image: slots.name,
    count: slots.count
      .refine((many) => many >= 1 && many <= CONTAINERS_MAX, {
        error: `expected 1 to ${countText(CONTAINERS_MAX)} containers`,
      })
      .optional()
      .meta({ description: "how many such containers, called NAME-1, NAME-2 and so on" }),
    size: slots.size.optional().meta({ description: "what the container may write (docker run --storage-opt size)" }),
    init: z.boolean().optional().meta({ description: "with Docker's init layer between the image and the container" }),
    user: slots.word.optional().meta({ description: "who acts in it, as behind --user of docker run" }),
    volumes: z
      .union([z.array(volumeSchema()), volumeSchema().transform((volume) => [volume])])
      .optional()
      .meta({ description: "what is mounted in it, as behind -v of docker run" }),
  }) as unknown as z.ZodType<WrittenContainer, unknown>;
}

function volumeSchema(): z.ZodType<VolumeOption, unknown> {
  return z.string().transform((text, context) => {
    const option = parseVolume(text);
    if (typeof option !== "string") return option;
    context.addIssue({ code: "custom", message: option });
    return z.NEVER;
  });
}
