/** Services of ECS for a test, in MiniStack. */
import { randomBytes } from "node:crypto";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from "@aws-sdk/client-ecs";
import { inject, onTestFinished } from "vitest";
import { awsClient } from "../../shared/aws/clients.ts";
import { EcsLauncher, type EcsLauncherOptions } from "../../shared/provision/launcher-ecs.ts";
import { REGION } from "./tables.ts";

const place = { endpoint: inject("ministack") };

export function launcherOf(options: Pick<EcsLauncherOptions, "cluster" | "service">): EcsLauncher {
  const launcher = new EcsLauncher({ ...options, region: REGION, place });
  onTestFinished(() => launcher.close());
  return launcher;
}

/** With a cluster of its own. */
export async function newService(desiredCount: number) {
  const client = awsClient(ECSClient, REGION, place);
  onTestFinished(() => client.destroy());
  const cluster = `theseus-${randomBytes(6).toString("hex")}`;
  const service = `${cluster}-leaders`;
  await client.send(new CreateClusterCommand({ clusterName: cluster }));
  const containerDefinitions = [{ name: "leader", image: "node:24", memory: 64 }];
  const family = `${cluster}-leader`;
  await client.send(new RegisterTaskDefinitionCommand({ family, containerDefinitions }));
  await client.send(
    new CreateServiceCommand({ cluster, serviceName: service, taskDefinition: family, desiredCount }),
  );
  const desired = async () => {
    const { services } = await client.send(new DescribeServicesCommand({ cluster, services: [service] }));
    return services?.[0]?.desiredCount;
  };
  return { launcher: launcherOf({ cluster, service }), desired, cluster };
}
