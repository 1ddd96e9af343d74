/**
 * Leader processes as tasks of one ECS service, which keeps so many running and replaces those that end. It gives them no
 * ids: each claims one from the registry. So to start one is to have one more running, and to stop one is to have it
 * replaced; fewer are had by lowering the service's count where the stack sets it.
 */
import {
  DescribeServicesCommand,
  ECSClient,
  InvalidParameterException,
  ListTasksCommand,
  StopTaskCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { type AwsPlace, awsClient } from "../aws/clients.ts";
import type { LeaderServer } from "../protocol/leader-pool.ts";
import { awsTrouble } from "./aws-trouble.ts";
import type { Launcher } from "./launcher.ts";

export interface EcsLauncherOptions {
  readonly cluster: string;
  readonly service: string;
  readonly region: string;
  readonly place: AwsPlace;
}

export class EcsLauncher implements Launcher {
  readonly #client: ECSClient;
  readonly #options: EcsLauncherOptions;

  /** @throws RangeError for an endpoint that is not on this machine (aws/clients.ts). */
  constructor(options: EcsLauncherOptions) {
    this.#client = awsClient(ECSClient, options.region, options.place);
    this.#options = options;
  }

  /** Of two that raise the count at once the lower one may stay: it is raised again as long as the order stands. */
  async start(leader: string, wanted: number): Promise<void> {
    const what = `${leader} cannot be started`;
    if ((await this.#desiredCount(what)) >= wanted) return;
    const { cluster, service } = this.#options;
    const update = new UpdateServiceCommand({ cluster, service, desiredCount: wanted });
    await this.#ask(what, "UpdateService", () => this.#client.send(update));
  }

  /** Without a task there is nothing that could be stopped: it never registered. */
  async stop({ id, task }: Pick<LeaderServer, "id" | "task">): Promise<void> {
    if (task === undefined) return;
    const stopping = new StopTaskCommand({
      cluster: this.#options.cluster,
      task,
      reason: `${id} is retired`,
    });
    await this.#ask(`${id} cannot be stopped`, "StopTask", () =>
      this.#client.send(stopping).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      }),
    );
  }

  /** Also those that are still being started, and none that is being stopped. */
  async list(): Promise<readonly string[]> {
    const what = "leaders cannot be listed";
    // Where there is no such service, that no task runs is no reason to retire all leaders.
    await this.#desiredCount(what);
    const tasks: string[] = [];
    let from: { nextToken?: string } = {};
    do {
      const page = new ListTasksCommand({
        cluster: this.#options.cluster,
        desiredStatus: "RUNNING",
        ...from,
      });
      const { taskArns = [], nextToken } = await this.#ask(what, "ListTasks", () => this.#client.send(page));
      tasks.push(...taskArns);
      from = nextToken === undefined ? {} : { nextToken };
    } while (from.nextToken !== undefined);
    return tasks;
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #desiredCount(what: string): Promise<number> {
    const { cluster, service } = this.#options;
    const look = new DescribeServicesCommand({ cluster, services: [service] });
    return this.#ask(what, "DescribeServices", async () => {
      const { services = [] } = await this.#client.send(look);
      const active = services.find(({ status }) => status === "ACTIVE");
      if (active?.desiredCount === undefined)
        throw Object.assign(new Error(`there is no service ${service} in the cluster ${cluster}`), {
          name: "ServiceNotFoundException",
        });
      return active.desiredCount;
    });
  }

  async #ask<Answer>(what: string, operation: string, act: () => Promise<Answer>): Promise<Answer> {
    try {
      return await act();
    } catch (error) {
      const asked = { service: "ECS", action: `ecs:${operation}`, region: this.#options.region } as const;
      throw awsTrouble({ what, ...asked }, error);
    }
  }
}

/** Tasks are forgotten about an hour after they ended. */
function isGone(error: unknown): boolean {
  return error instanceof InvalidParameterException && /not found/i.test(error.message);
}
