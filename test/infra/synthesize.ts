/** Templates as `cdk deploy` makes them, but for the bundles, which take seconds and change nothing else. */
import { readFileSync } from "node:fs";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import type { Construct } from "constructs";
import { Theseus, type TheseusProps } from "../../infra/index.ts";

export interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly DependsOn?: readonly string[];
}
export interface TemplateJson {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>;
}

export const ACCOUNT = "111111111111";
export const REGION = "eu-central-1";
export const EMULATOR = "http://127.0.0.1:4566";

const FLAGS: unknown = JSON.parse(readFileSync("cdk.json", "utf8")).context;

export function newApp(context: Readonly<Record<string, unknown>> = {}): App {
  return new App({
    context: { ...(FLAGS as object), "aws:cdk:bundling-stacks": [], ...context },
    analyticsReporting: false,
  });
}

export const BANK: TheseusProps = { name: "bank", entry: "examples/bank.ts" };

export interface Synthesis {
  readonly context?: Readonly<Record<string, unknown>>;
  /** Where the construct is, in the stack. */
  readonly place?: (stack: Stack) => { readonly scope: Construct; readonly id: string };
  readonly after?: (theseus: Theseus, stack: Stack) => void;
}

/** One stack with the bank. */
export function bankStack(
  props: Partial<TheseusProps> = {},
  { context, place, after }: Synthesis = {},
): Stack {
  const stack = new Stack(newApp(context), "stack", { env: { account: ACCOUNT, region: REGION } });
  const { scope, id } = place?.(stack) ?? { scope: stack, id: "Bank" };
  const theseus = new Theseus(scope, id, { ...BANK, ...props });
  after?.(theseus, stack);
  return stack;
}

export function bank(props: Partial<TheseusProps> = {}, synthesis: Synthesis = {}): TemplateJson {
  return templateOf(bankStack(props, synthesis));
}

/** A bundle is named by its content's digest, which changes with every release. */
export function templateOf(stack: Stack): TemplateJson {
  const text = JSON.stringify(Template.fromStack(stack).toJSON());
  return JSON.parse(text.replace(/[0-9a-f]{64}(?=\.(?:zip|js)")/g, "DIGEST")) as TemplateJson;
}

/** Those of a type, by their logical ids. */
export function resourcesOf({ Resources }: TemplateJson, type: string): [string, Resource][] {
  return Object.entries(Resources).filter(([, { Type }]) => Type === type);
}

/** The only one of a type whose logical id ends so. @throws Error when there is none, or another. */
export function only(template: TemplateJson, type: string, suffix = ""): Resource {
  const found = resourcesOf(template, type).filter(([id]) => id.endsWith(suffix));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new Error(`${found.length} of ${type} in ${resourcesOf(template, type).map(([id]) => id)}`);
  return one[1];
}

/** A property with CloudFormation's functions written as `${…}`. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return String(value);
  const [[name, of] = ["", undefined]] = Object.entries(value);
  if (name === "Ref") return `\${${of}}`;
  if (name === "Fn::GetAtt") return `\${${(of as string[]).join(".")}}`;
  if (name === "Fn::Join") {
    const [separator, parts] = of as [string, unknown[]];
    return parts.map(textOf).join(separator);
  }
  return JSON.stringify(value);
}

export function listOf<Item>(value: Item | readonly Item[]): readonly Item[] {
  return Array.isArray(value) ? value : [value as Item];
}
