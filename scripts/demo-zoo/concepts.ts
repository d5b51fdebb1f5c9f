/** What a picture shows. */
export interface Concept {
  readonly colour: string;
  readonly shape: string;
  readonly texture: string;
}

/** Red, green and blue from 0 to 1. */
export const colours: Readonly<Record<string, readonly [number, number, number]>> = {
  red: [0.95, 0.15, 0.15],
  yellow: [0.95, 0.85, 0.1],
  green: [0.15, 0.75, 0.25],
  cyan: [0.1, 0.8, 0.85],
  blue: [0.2, 0.3, 0.95],
  pink: [0.95, 0.45, 0.8],
};

/** Forms, drawn by `draw-picture.ts`. */
export const shapes = ["circle", "square", "triangle", "cross", "ring", "bar"] as const;

/** Surfaces, drawn by `draw-picture.ts`. */
export const textures = ["plain", "striped", "dotted", "checked", "shaded", "framed"] as const;

/** All concepts, texture by texture: 6 × 6 × 6 = 216. */
export const concepts: readonly Concept[] = textures.flatMap((texture) =>
  Object.keys(colours).flatMap((colour) => shapes.map((shape) => ({ colour, shape, texture }))),
);

/** The concept in words: "striped red circle". */
export function toText({ colour, shape, texture }: Concept): string {
  return `${texture} ${colour} ${shape}`;
}
