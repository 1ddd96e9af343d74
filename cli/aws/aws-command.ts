/**
 * `aws s3 cp s3://BUCKET/KEY FILE` of an emulator: the one command of the AWS CLI that a task's first container needs,
 * so that the container's own script can run on this machine as it is.
 */
import { writeFile } from "node:fs/promises";

const [service, verb, ...rest] = process.argv.slice(2);
const [from = "", to = ""] = rest.filter((word) => !word.startsWith("--"));
const [, object] = /^s3:\/\/(.+)$/.exec(from) ?? [];
if (service !== "s3" || verb !== "cp" || object === undefined || to === "")
  throw new Error(
    `only "aws s3 cp s3://BUCKET/KEY FILE" is known here, not: ${process.argv.slice(2).join(" ")}`,
  );
const answer = await fetch(`${process.env.AWS_ENDPOINT_URL}/${object}`);
if (!answer.ok) throw new Error(`${from} cannot be fetched: HTTP status ${answer.status}`);
await writeFile(to, Buffer.from(await answer.arrayBuffer()));
