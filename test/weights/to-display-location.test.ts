import test from "ava";
import { toDisplayLocation } from "../../src/weights/to-display-location.js";

test("a URL is shown without what it may keep secret, and one that cannot be read not at all", (t) => {
  t.is(toDisplayLocation("models/a?b.safetensors"), "models/a?b.safetensors");
  t.is(toDisplayLocation("https://user:secret@host/m.safetensors?sig=secret#x"), "https://host/m.safetensors");
  t.is(toDisplayLocation("https://host:port/"), "a URL that cannot be read");
  t.is(toDisplayLocation("https://user%:secret@host/m.safetensors"), "a URL that cannot be read");
});
