import { resolve } from "node:path";

/** Where the tests' emulators are kept: not part of the project, and gone with node_modules. */
export const CACHE = resolve("node_modules/.cache/theseus");
