/** Reads TypeScript as far as the rules of `tidy.test.ts` need it: what is code, and what it imports. */
import { posix } from "node:path";

/** One comment, string, regular expression or piece of a template, from where it begins. */
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/y;
const TEMPLATE_PIECE = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y;
const REGULAR_EXPRESSION = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const PLAIN = /[^"'`/{}]+/y;
/** After one of these a slash begins a regular expression; after anything else it divides. */
const BEFORE_EXPRESSION = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|of|in))$/;
const LONGEST_WORD_BEFORE = " typeof".length;

/** The source with comments blanked, and with the insides of strings and regular expressions too unless kept. */
export function codeOf(source: string, { keepStrings = false } = {}): string {
  let code = "";
  let index = 0;
  /** How many braces are open in each template's `${ … }` that we are inside of. */
  const braces: number[] = [];
  const take = (pattern: RegExp) => {
    pattern.lastIndex = index;
    const [text = ""] = pattern.exec(source) ?? [];
    index += text.length;
    return text;
  };
  const takeTemplatePiece = () => {
    const text = take(TEMPLATE_PIECE);
    code += keepStrings ? text : blank(text);
    const end = source.startsWith("${", index) ? "${" : "`";
    if (end === "${") braces.push(0);
    code += end;
    index += end.length;
  };
  while (index < source.length) {
    code += take(PLAIN);
    const comment = take(COMMENT);
    const isExpression = BEFORE_EXPRESSION.test(code.trimEnd().slice(-LONGEST_WORD_BEFORE));
    const text = comment || take(STRING) || (isExpression ? take(REGULAR_EXPRESSION) : "");
    if (text !== "") {
      code += comment === "" && keepStrings ? text : blank(text);
      continue;
    }
    const character = source[index++] ?? "";
    code += character;
    const depth = braces.length - 1;
    if (character === "`") takeTemplatePiece();
    else if (depth >= 0 && character === "{") braces[depth] = (braces[depth] as number) + 1;
    else if (depth >= 0 && character === "}") {
      if (braces[depth] === 0) {
        braces.pop();
        takeTemplatePiece();
      } else braces[depth] = (braces[depth] as number) - 1;
    }
  }
  return code;
}

/** Lines stay where they are. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

export interface Import {
  /** A path from the repository's root, or a package's name (`node:fs`, `@scope/name`). */
  readonly from: string;
  readonly isTypeOnly: boolean;
}

const STATEMENT = /\b(?:import|export)\b\s*([^;"'()]*?)\bfrom\s*["']([^"'\n]+)["']/g;
const BARE = /\bimport\s*["']([^"'\n]+)["']/g;
const DYNAMIC = /\bimport\(\s*["']([^"'\n]+)["']/g;

/** What the file at `path` imports or re-exports, in any form whose module is written as text. */
export function importsOf(path: string, source: string): Import[] {
  const code = codeOf(source, { keepStrings: true });
  const imports = [...code.matchAll(STATEMENT)].map(([, what = "", from = ""]) => ({
    from: target(path, from),
    isTypeOnly: isTypeOnly(what),
  }));
  const others = [...code.matchAll(BARE), ...code.matchAll(DYNAMIC)];
  return [...imports, ...others.map(([, from = ""]) => ({ from: target(path, from), isTypeOnly: false }))];
}

function isTypeOnly(what: string): boolean {
  if (/^type\b/.test(what)) return true;
  const names = /^\{([\s\S]*)\}\s*$/.exec(what)?.[1]?.split(",") ?? [];
  const written = names.filter((name) => name.trim() !== "");
  return written.length > 0 && written.every((name) => /^\s*type\s/.test(name));
}

function target(path: string, from: string): string {
  if (from.startsWith(".")) return posix.join(posix.dirname(path), from);
  const [first = "", second = ""] = from.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}
