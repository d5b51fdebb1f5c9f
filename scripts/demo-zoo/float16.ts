const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** Numbers as little-endian float16, rounded to the nearest, to even in the middle. Beyond 65,504 they are infinite. */
export function toFloat16Bytes(values: Float32Array): Uint8Array {
  const halves = Uint16Array.from(values, toHalf);
  return new Uint8Array(halves.buffer);
}

function toHalf(value: number): number {
  word[0] = value;
  const whole = bits[0] as number;
  const sign = (whole >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // Half of the last step beyond the largest number rounds up to infinity.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below the smallest normal number steps are 2^-24 wide.
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24);
  const exponent = ((whole >>> 23) & 0xff) - 127 + 15;
  const mantissa = (whole & 0x7fffff) / 2 ** 13;
  // A mantissa that rounds up to its end carries into the exponent.
  return sign | ((exponent << 10) + roundToEven(mantissa));
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
