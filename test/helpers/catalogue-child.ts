import { openCatalogue } from "../../src/experts/catalogue.js";

// Lists a catalogue twice, first as a user who may read no file of it but those for all; prints what each look found. Ids of
// users belong to a process as a whole, so this runs in one of its own.
const [, , folder = ""] = process.argv;
const catalogue = openCatalogue(folder);
const own = process.geteuid?.() ?? 0;
if (own === 0) process.seteuid?.(65_534);
const before = await catalogue.list();
if (own === 0) process.seteuid?.(0);
const after = await catalogue.list();
const looks = [before, after].map(({ experts, unusable }) => ({
  experts: experts.length,
  errors: unusable.map(({ error }) => String(error)),
}));
console.log(JSON.stringify(looks));
