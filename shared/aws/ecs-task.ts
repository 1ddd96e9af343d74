/** Who a container of ECS is, as its agent tells it (metadata version 4); and as its environment does, anywhere else. */
import { isIP } from "node:net";

export interface EcsTask {
  /** Its ARN. */
  readonly task: string;
  /** The private address by which others in the VPC reach it. */
  readonly address: string;
}

/** The agent is on this host, and there from the beginning. */
const ANSWER_MS_MAX = 5_000;

/** THESEUS_TASK and THESEUS_ADDRESS, else what ECS says. @throws Error with what is missing, or not as documented. */
export async function ecsTask(environment = process.env): Promise<EcsTask> {
  const {
    THESEUS_TASK: task,
    THESEUS_ADDRESS: address,
    ECS_CONTAINER_METADATA_URI_V4: metadata,
  } = environment;
  if (task && address) return { task, address };
  if (!metadata)
    throw new Error("this is no container of ECS: set THESEUS_TASK and THESEUS_ADDRESS, or let ECS run it");
  const found = taskIn(await answerOf(`${metadata}/task`));
  return { task: task || found.task, address: address || found.address };
}

async function answerOf(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (!response.ok) throw new Error(`ECS does not say which task this is: HTTP status ${response.status}`);
  return response.json();
}

/** With awsvpc, as on Fargate, all containers of a task share one network interface. */
function taskIn(answer: unknown): EcsTask {
  const { TaskARN, Containers = [] } = answer as {
    readonly TaskARN?: string;
    readonly Containers?: readonly {
      readonly Networks?: readonly { readonly IPv4Addresses?: readonly string[] }[];
    }[];
  };
  const networks = Containers.flatMap(({ Networks = [] }) => Networks);
  const [address] = networks.flatMap(({ IPv4Addresses = [] }) => IPv4Addresses);
  if (typeof TaskARN !== "string" || address === undefined || isIP(address) === 0)
    throw new Error("ECS does not say which task this is, or at which address: is its network mode awsvpc?");
  return { task: TaskARN, address };
}
