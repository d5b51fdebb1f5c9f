import test from "ava";
import { findUnknownWords } from "../../src/text/find-unknown-words.js";

const known = new Set(["a", "red", "circle", "円"]);
const find = (text: string) => findUnknownWords(text, (word) => !known.has(word.toLowerCase()));

test("words are told once each, as they stand in the text, without what is between them", (t) => {
  t.deepEqual(find("a Purple circle, (purple) red-mauve: Purple!"), ["Purple", "purple", "mauve"]);
  t.deepEqual(find("A red circle … — !"), []);
  t.deepEqual(find("red 🎨"), ["🎨"]);
});

test("words are found where no spaces are between them", (t) => {
  t.deepEqual(find("円と"), ["と"]);
});

test("the first 32 are named", (t) => {
  const words = Array.from({ length: 40 }, (_, index) => `w${index}`);
  t.deepEqual(find(words.join(" ")), words.slice(0, 32));
});
