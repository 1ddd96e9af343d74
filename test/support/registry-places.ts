/** Where a registry might be. */
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer, LeaderServer } from "../../shared/protocol/registry.ts";
import type { RegistryPlace } from "../../shared/runtime/directory.ts";

export function configurationOf(number: number, names: readonly string[]): Configuration {
  const quorums = majority(names as readonly AcceptorId[]);
  return { number: number as ConfigurationNumber, previous: number - 1, quorums };
}

export function serversOf(names: readonly string[]): readonly AcceptorServer[] {
  return names.map((name) => {
    const location = `us-east-1/${name}`;
    return { id: name as AcceptorId, kind: "dynamodb", location, incarnation: name };
  });
}

export function pointerOf(number: number, ...names: readonly string[]) {
  return { configuration: configurationOf(number, names), acceptors: serversOf(names) };
}

export function placeOf(deployment: string): RegistryPlace {
  const pointer = pointerOf(1, "r1", "r2", "r3");
  const address = `https://${deployment}.lambda-url.us-east-1.on.aws/`;
  return { deployment, address, first: pointer.configuration, ...pointer };
}

export function leaderServer(id: string): LeaderServer {
  const process = "9".repeat(32) as ProcessId;
  return { id, process, address: `https://10.0.0.1:4600/#${id}`, publicKey: "A".repeat(43) };
}
