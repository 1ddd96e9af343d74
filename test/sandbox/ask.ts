/**
 * Calls of AWS for which no client is installed, since nothing but these tests needs them: signed by hand, and read with
 * a pattern each. Like every client they go where the factory lets them (shared/aws/clients.ts).
 */
import { Sha256 } from "@aws-crypto/sha256-js";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Where } from "../../cli/aws/where.ts";
import { placeSettings } from "../../shared/aws/clients.ts";

/** Of the query APIs; as their documentation has it. */
const VERSIONS = { iam: "2010-05-08", monitoring: "2010-08-01", sts: "2011-06-15" } as const;
/** IAM is one for all Regions, and is signed for in this one. */
const IAM_REGION = "us-east-1";

/** The answer's XML. `parameters` has no undefined. @throws Error with AWS's own answer. */
export function query(
  service: keyof typeof VERSIONS,
  action: string,
  parameters: Readonly<Record<string, string>>,
  where: Where,
): Promise<string> {
  const body = new URLSearchParams({ Action: action, Version: VERSIONS[service], ...parameters });
  return post(service, { "content-type": "application/x-www-form-urlencoded" }, body.toString(), where);
}

/** @throws Error with AWS's own answer. */
export async function logs(
  action: string,
  parameters: Readonly<Record<string, unknown>>,
  where: Where,
): Promise<unknown> {
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": `Logs_20140328.${action}`,
  };
  return JSON.parse(await post("logs", headers, JSON.stringify(parameters), where));
}

/** Each text between that tag's two ends. */
export function inXml(xml: string, tag: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${tag}>([^<]*)</${tag}>`, "g"))].map(([, text = ""]) => text);
}

/** `name.member.1`, `name.member.2`, … */
export function members(name: string, values: readonly string[]): Record<string, string> {
  return Object.fromEntries(values.map((value, index) => [`${name}.member.${index + 1}`, value]));
}

async function post(
  service: string,
  given: Readonly<Record<string, string>>,
  body: string,
  { place, region }: Where,
): Promise<string> {
  const isIam = service === "iam";
  const host = isIam ? "iam.amazonaws.com" : `${service}.${region}.amazonaws.com`;
  const { endpoint, credentials = defaultProvider() } = placeSettings(place);
  const signer = new SignatureV4({
    service,
    region: isIam ? IAM_REGION : region,
    credentials,
    sha256: Sha256,
  });
  const { headers } = await signer.sign({
    method: "POST",
    protocol: "https:",
    hostname: host,
    path: "/",
    headers: { ...given, host },
    body,
  });
  const answer = await fetch(endpoint ?? `https://${host}/`, { method: "POST", headers, body });
  const said = await answer.text();
  if (!answer.ok) throw new Error(`${service} answers with HTTP status ${answer.status}: ${said}`);
  return said;
}
