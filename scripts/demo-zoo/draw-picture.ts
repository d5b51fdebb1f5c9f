import type { Random } from "../../src/linalg/random.js";
import { type Concept, colours } from "./concepts.js";

/** Pixels of a side. */
export const side = 16;
/** Numbers of a picture: rows of pixels of red, green and blue, each from −1 to 1. */
export const pictureNumbers = side * side * 3;

/**
 * Draws a concept: about in the middle, a third to two fifths of the side in radius, on a dark ground, with grain.
 *
 * @returns 16 × 16 × 3.
 */
export function drawPicture({ colour, shape, texture }: Concept, random: Random): Float32Array {
  const values = new Float32Array(pictureNumbers);
  const paint = colours[colour] ?? [1, 1, 1];
  const between = (low: number, high: number): number => low + (high - low) * random.next();
  const ground = between(0.02, 0.2);
  const [middleX, middleY, radius] = [between(6.7, 8.3), between(6.7, 8.3), between(5, 6.5)];
  const phase = Math.floor(between(0, 2));
  const light = between(0.85, 1);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [u, v] = [(x + 0.5 - middleX) / radius, (y + 0.5 - middleY) / radius];
      const depth = toDepth(shape, u, v);
      const shade = depth < 0 ? 0 : light * toShade(texture, x + phase, y, u, v, depth);
      for (let channel = 0; channel < 3; channel++) {
        const clean = ground + shade * ((paint[channel] as number) - ground);
        values[(y * side + x) * 3 + channel] = 2 * clean - 1 + between(-0.08, 0.08);
      }
    }
  }
  return values;
}

/** How far inside the shape a point lies; below 0 outside. */
function toDepth(shape: string, u: number, v: number): number {
  const [across, down] = [Math.abs(u), Math.abs(v)];
  const distance = Math.hypot(u, v);
  switch (shape) {
    case "circle":
      return 1 - distance;
    case "square":
      return 0.85 - Math.max(across, down);
    case "triangle":
      return Math.min(0.8 - v, (v + 1) / 2 - across);
    case "cross":
      return Math.max(Math.min(0.33 - across, 1 - down), Math.min(1 - across, 0.33 - down));
    case "ring":
      return Math.min(1 - distance, distance - 0.5);
    default:
      return Math.min(0.38 - down, 1.1 - across);
  }
}

/** How bright the surface is at a point, 0 to 1. */
function toShade(texture: string, x: number, y: number, u: number, v: number, depth: number): number {
  switch (texture) {
    case "striped":
      return Math.floor(y / 2) % 2 === 0 ? 1 : 0.1;
    case "dotted":
      return x % 3 === 0 && y % 3 === 0 ? 0 : 0.9;
    case "checked":
      return (Math.floor(x / 2) + Math.floor(y / 2)) % 2 === 0 ? 1 : 0.15;
    case "shaded":
      return Math.min(1, Math.max(0.05, 0.5 + 0.55 * (u + v)));
    case "framed":
      return depth < 0.22 ? 1 : 0.2;
    default:
      return 0.95;
  }
}
