/**
 * `node --import ./test/simulator/plant.ts …` with MUTANT=name plants that one wrong rule: the production
 * module's text is changed as it is loaded. A rule that cannot be found exactly once stops the process, so
 * a mutant never quietly becomes the product.
 */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { type Edit, MUTANTS } from "./mutants.ts";

const name = process.env.MUTANT;
const mutant = MUTANTS.find((each) => each.name === name);
if (mutant === undefined) throw new RangeError(`no mutant named ${name}`);
const root = fileURLToPath(new URL("../../", import.meta.url));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const file = url.startsWith("file:") ? fileURLToPath(url).slice(root.length) : "";
    const edits = mutant.edits.filter((edit) => edit.file === file);
    if (edits.length === 0) return loaded;
    return { ...loaded, source: edits.reduce(changed, textOf(loaded.source)) };
  },
});

type Source = string | ArrayBuffer | NodeJS.TypedArray | null | undefined;

function textOf(source: Source): string {
  if (typeof source === "string") return source;
  if (source === null || source === undefined) throw new TypeError("a module without a text");
  return new TextDecoder().decode(source);
}

function changed(text: string, { file, find, replace }: Edit): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0)
    throw new RangeError(`mutant ${name}: its rule is not exactly once in ${file}`);
  return before + replace + after;
}
