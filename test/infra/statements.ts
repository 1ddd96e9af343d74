/** Who may do what, as a template says it: each statement of each policy. */
import { listOf, resourcesOf, type TemplateJson, textOf } from "./synthesize.ts";

interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource?: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly Principal?: unknown;
}
interface Document {
  readonly Statement: readonly Statement[];
}

export interface Right {
  /** A role, or whatever else the policy is about. */
  readonly of: string;
  readonly effect: "Allow" | "Deny";
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly string[];
}

/** Of roles: what they may do. */
export function rightsOf(template: TemplateJson): Right[] {
  const inline = resourcesOf(template, "AWS::IAM::Role").flatMap(([id, { Properties }]) =>
    listOf((Properties.Policies ?? []) as { PolicyDocument: Document }[]).flatMap(({ PolicyDocument }) =>
      PolicyDocument.Statement.map((statement) => rightOf(id, statement)),
    ),
  );
  const attached = resourcesOf(template, "AWS::IAM::Policy").flatMap(([, { Properties }]) => {
    const { Roles, PolicyDocument } = Properties as { Roles: unknown[]; PolicyDocument: Document };
    const of = Roles.map((role) => textOf(role).replace(/^\$\{(.*)\}$/, "$1")).join(", ");
    return PolicyDocument.Statement.map((statement) => rightOf(of, statement));
  });
  return [...inline, ...attached];
}

function rightOf(of: string, { Sid = "", Effect, Action, Resource, Condition = {} }: Statement): Right {
  return {
    of,
    effect: Effect,
    sid: Sid,
    actions: listOf(Action),
    resources: listOf(Resource).map(textOf),
    conditions: Object.entries(Condition).flatMap(([operator, keys]) =>
      Object.entries(keys).map(
        ([key, values]) => `${operator} ${key}: ${listOf(values).map(textOf).join(", ")}`,
      ),
    ),
  };
}

/** Who may be it, or call it: trust policies, and those of queues and functions. */
export function callersOf(template: TemplateJson): string[] {
  const roles = resourcesOf(template, "AWS::IAM::Role").map(([id, { Properties }]) => {
    const { Statement: statements } = Properties.AssumeRolePolicyDocument as Document;
    return `${id}: ${statements.map(({ Principal }) => JSON.stringify(Principal)).join(", ")}`;
  });
  const functions = resourcesOf(template, "AWS::Lambda::Permission").map(([id, { Properties }]) => {
    const { Principal, Action, SourceArn } = Properties;
    return `${id}: ${textOf(Principal)}, ${Action}, from ${textOf(SourceArn)}`;
  });
  const queues = resourcesOf(template, "AWS::SQS::QueuePolicy").flatMap(([id, { Properties }]) =>
    (Properties.PolicyDocument as Document).Statement.map((statement) => {
      const { effect, actions, conditions } = rightOf(id, statement);
      return `${id}: ${effect} ${JSON.stringify(statement.Principal)} ${actions.join(", ")} if ${conditions.join(", ")}`;
    }),
  );
  return [...roles, ...functions, ...queues];
}

/**
 * Whether IAM lets a role do that to the item of a table, as far as our policies' conditions go: `*` within names and
 * keys, and an explicit denial before all else.
 */
export function mayTouch(
  rights: readonly Right[],
  role: string,
  action: string,
  table: string,
  key: string,
): boolean {
  const matching = rights.filter(
    ({ of, actions, resources, conditions }) =>
      of === role &&
      actions.includes(action) &&
      resources.some((resource) => isLike(resource.split("/").at(-1) ?? "", table)) &&
      conditions.every((condition) => keysIn(condition).some((pattern) => isLike(pattern, key))),
  );
  return matching.length > 0 && matching.every(({ effect }) => effect === "Allow");
}

/** @throws Error for a condition of another kind, which would be left out of account. */
function keysIn(condition: string): readonly string[] {
  const [, keys] = /^For(?:Any|All)Values?:StringLike dynamodb:LeadingKeys: (.*)$/.exec(condition) ?? [];
  if (keys === undefined) throw new Error(`not understood here: ${condition}`);
  return keys.split(", ");
}

function isLike(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => RegExp.escape(part));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}
