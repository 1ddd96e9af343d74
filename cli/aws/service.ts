/** The leaders' service as ECS shows it: which tasks run, and what a task is made of. */
import {
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  StopTaskCommand,
  type TaskDefinition,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { type AwsPlace, awsClient } from "../../shared/aws/clients.ts";
import { Unavailable } from "../../shared/errors.ts";

export interface Task {
  /** Its ARN. */
  readonly id: string;
  /** The name of its definition. */
  readonly definition: string;
}

export interface Service {
  /** Those that are to run, and how many there ought to be. */
  tasks(): Promise<{ readonly running: readonly Task[]; readonly wanted: number }>;
  definition(name: string): Promise<TaskDefinition>;
  /** Its process is no more. */
  stopped(task: Task, why: string): Promise<void>;
  /** An emulator does not start a task in the place of one that stopped, before somebody touches the service. */
  replaceStopped(): Promise<void>;
  close(): void;
}

export interface ServiceName {
  readonly region: string;
  readonly cluster: string;
  readonly service: string;
}

export function ecsService({ region, cluster, service }: ServiceName, place: AwsPlace): Service {
  const client = awsClient(ECSClient, region, place);
  const definitions = new Map<string, TaskDefinition>();
  return {
    async tasks() {
      const { services = [] } = await client.send(
        new DescribeServicesCommand({ cluster, services: [service] }),
      );
      const { taskArns = [] } = await client.send(
        new ListTasksCommand({ cluster, serviceName: service, desiredStatus: "RUNNING" }),
      );
      const { tasks = [] } =
        taskArns.length === 0
          ? {}
          : await client.send(new DescribeTasksCommand({ cluster, tasks: taskArns }));
      const running = tasks.map(({ taskArn = "", taskDefinitionArn = "" }) => ({
        id: taskArn,
        definition: taskDefinitionArn,
      }));
      return { running, wanted: services[0]?.desiredCount ?? 0 };
    },
    async definition(name) {
      const known = definitions.get(name);
      if (known !== undefined) return known;
      const { taskDefinition } = await client.send(
        new DescribeTaskDefinitionCommand({ taskDefinition: name }),
      );
      if (taskDefinition === undefined)
        throw new Unavailable("unavailable", `there is no task definition ${name}`);
      definitions.set(name, taskDefinition);
      return taskDefinition;
    },
    async stopped({ id }, why) {
      await client.send(new StopTaskCommand({ cluster, task: id, reason: why }));
    },
    async replaceStopped() {
      await client.send(new UpdateServiceCommand({ cluster, service }));
    },
    close: () => client.destroy(),
  };
}
