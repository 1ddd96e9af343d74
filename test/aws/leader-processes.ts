/**
 * Leader processes as ECS runs them: bundles in a folder of their own, that may write no file. Their tables and the
 * directory are on DynamoDB Local; the registry is in this process, behind what passes for the URL of a function.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { getRequestListener } from "@hono/node-server";
import { inject, onTestFinished, vi } from "vitest";
import type { Carried } from "../../shared/client/answers.ts";
import { Transport } from "../../shared/client/transport.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { LeaderServer, RegistryState } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import { Directory } from "../../shared/runtime/directory.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { registryInterface } from "../../shared/runtime/registry/registry-http.ts";
import { REGISTRY, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { type Mint, minter } from "../../shared/runtime/tokens/signers.ts";
import { TOKEN_HEADER } from "../../shared/runtime/tokens/token.ts";
import {
  deleteDocumentsTable,
  dynamodbDocuments,
  makeDocumentsTable,
} from "../../shared/storage/documents-dynamodb.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import { placeOf } from "../support/registry-places.ts";
import { bundleLeader } from "./leader-bundles.ts";
import { newTable } from "./tables.ts";

/** A leader may read files and start the thread that takes snapshots; it may write nothing and run nothing. */
const PERMISSIONS = ["--permission", "--allow-fs-read=*", "--allow-worker"];
const REGION = "us-east-1";
/** Nobody's, and to be seen nowhere. */
export const SECRET = `secret-${randomBytes(12).toString("hex")}`;

interface Line {
  readonly event?: string;
  readonly url?: string;
  readonly [field: string]: unknown;
}

export class LeaderProcess {
  readonly child: ChildProcess;
  /** All that it wrote, to both outputs. */
  output = "";
  readonly lines: Line[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.on("data", (chunk) => {
      this.output += chunk;
    });
    createInterface({ input: child.stdout! }).on("line", (line) => {
      this.output += `${line}\n`;
      if (line.startsWith("{")) this.lines.push(JSON.parse(line));
      child.emit("said");
    });
  }

  /** The first line of that event, when it comes. */
  async said(event: string): Promise<Line> {
    for (;;) {
      const line = this.lines.find((each) => each.event === event);
      if (line !== undefined) return line;
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.output}`);
      await Promise.race([once(this.child, "said"), once(this.child, "exit")]);
    }
  }

  async address(): Promise<string> {
    return (await this.said("ready")).url as string;
  }
}

export class LeaderProcesses {
  readonly directory: Directory;
  readonly folder: string;
  readonly mint: Mint;
  /** The environment of a part of this deployment. */
  readonly variables: Readonly<Record<string, string>>;
  readonly #service: RegistryService;
  readonly #function: Server;
  readonly #transport: Transport;
  readonly #addresses: string[] = [];

  private constructor(parts: {
    readonly directory: Directory;
    readonly folder: string;
    readonly mint: Mint;
    readonly variables: Readonly<Record<string, string>>;
    readonly service: RegistryService;
    readonly platform: Server;
  }) {
    this.directory = parts.directory;
    this.folder = parts.folder;
    this.mint = parts.mint;
    this.variables = parts.variables;
    this.#service = parts.service;
    this.#function = parts.platform;
    this.#transport = new Transport({ list: () => this.#addresses, failed: () => {} });
    onTestFinished(() => this.#transport.close());
  }

  static async start(machines: string): Promise<LeaderProcesses> {
    const endpoint = inject("dynamodbLocal");
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
    onTestFinished(() => void vi.unstubAllEnvs());
    const location = `${REGION}/theseus-${randomBytes(8).toString("hex")}-directory`;
    const [folder] = await Promise.all([
      bundleLeader(machines),
      makeDocumentsTable(location, { tags: {}, isProtected: false }),
    ]);
    const directory = new Directory([dynamodbDocuments(location)]);
    onTestFinished(() => directory.close());
    const deployment = randomBytes(16).toString("hex");
    const place = await directory.make({ ...placeOf("abc"), deployment });
    await directory.makeKeys();
    const privateKey = await directory.privateKey("registry");
    const mint = minter({ by: "registry", privateKey, deployment, now: Date.now });
    const service = await newRegistry(place.first);
    for (const table of await Promise.all([1, 2, 3].map(() => newTable(endpoint)))) {
      const id = table.name as AcceptorId;
      const acceptor = { id, kind: "dynamodb", location: table.location, incarnation: table.incarnation };
      await service.command({ type: "registerAcceptor", acceptor });
    }
    const platform = await serveRegistry(service, directory);
    const { port } = platform.address() as AddressInfo;
    const variables = {
      PATH: process.env.PATH ?? "",
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL_DYNAMODB: endpoint,
      AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${port}`,
      AWS_SECRET_ACCESS_KEY: SECRET,
      THESEUS_DEPLOYMENT: "test",
      THESEUS_DIRECTORY: location,
      THESEUS_CLUSTER: "theseus-test",
      THESEUS_ADDRESS: "127.0.0.1",
      THESEUS_PORT: "0",
      THESEUS_MACHINES: "machines.js",
      THESEUS_SNAPSHOT_SLOTS: "64",
    };
    return new LeaderProcesses({ directory, folder, mint, variables, service, platform });
  }

  /** A task, which is there when it resolves. */
  async launch(task: string): Promise<LeaderProcess> {
    const leader = this.spawn(task);
    this.#addresses.push(await leader.address());
    return leader;
  }

  spawn(task: string): LeaderProcess {
    const child = spawn(process.execPath, [...PERMISSIONS, "leader.js"], {
      cwd: this.folder,
      env: { ...this.variables, THESEUS_TASK: task },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    return new LeaderProcess(child);
  }

  read<Answer>(question: (state: RegistryState) => Answer): Promise<Answer> {
    return this.#service.read(question);
  }

  /** As a client that the registry gave a token. */
  call(
    machine: string,
    path: string,
    body: unknown,
    token = this.mint(machine, "use").token,
  ): Promise<Carried> {
    const headers = { "content-type": "application/json", [TOKEN_HEADER]: token };
    const request = {
      method: "POST",
      path: `/v1/machines/${machine}${path}`,
      headers,
      body: JSON.stringify(body),
    };
    return this.#transport.call({ machine, request, deadlineMs: 60_000, mayRepeat: () => true });
  }

  /** The registry answers nobody, and the directory is gone. */
  async loseRegistryAndDirectory(): Promise<void> {
    this.#function.close();
    this.#function.closeAllConnections();
    await deleteDocumentsTable(this.variables.THESEUS_DIRECTORY as string);
  }
}

async function newRegistry(first: Configuration): Promise<RegistryService> {
  const tables = new Map(first.quorums.acceptors.map((id) => [id, memoryStore()]));
  const ports = productionPorts((id) => tables.get(id));
  await found(ports, REGISTRY, first, REGISTRY_GEOMETRY);
  return new RegistryService({
    ...{ first, process: randomBytes(16).toString("hex") as ProcessId, ports },
    pointer: async () => ({ configuration: first, acceptors: [] }),
    async movePointer() {},
    learn() {},
  });
}

/** As the registry's function does, it tells the directory who lives before it answers. */
async function serveRegistry(service: RegistryService, directory: Directory): Promise<Server> {
  let told = "";
  const executed = async (): Promise<void> => {
    const live = [...service.state.leaders.values()].filter(({ state }) => state === "live");
    const leaders: readonly LeaderServer[] = live.map(({ state, ...server }) => server);
    if (JSON.stringify(leaders) === told) return;
    told = JSON.stringify(leaders);
    await directory.tellLeaders(leaders, service.hosted.host.replica.applied);
  };
  const app = registryInterface(service, Math.random, { executed });
  const server = createServer(getRequestListener((request) => app.fetch(request)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}
