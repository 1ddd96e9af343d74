/**
 * What a deployment on AWS has to withstand, step by step, whether an emulator has it or a real account: each step waits
 * until all is well again, and says how long that took.
 */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteTableCommand,
  type DynamoDBClient,
  ListTablesCommand,
  type ListTablesCommandInput,
} from "@aws-sdk/client-dynamodb";
import { expect } from "vitest";
import type { Where } from "../../cli/aws/where.ts";
import { dynamodbClient } from "../../shared/storage/dynamodb.ts";
import type { DeploymentStatus } from "../../shared/wire.ts";
import { theseus } from "./cli.ts";
import { until } from "./deployment.ts";
import type { Load } from "./load.ts";
import { temporaryFolder } from "./temporary.ts";

export interface Deployed {
  /** An address on this machine that leads to the gateway. */
  readonly url: string;
  /** The stack's name. */
  readonly stack: string;
  readonly where: Where;
}
type Table = DeploymentStatus["acceptors"][number];
export type Leader = DeploymentStatus["leaders"][number];

/** Commits that must go on after something was broken, before the drill goes on. */
const PROGRESS = 50;
/** Each look asks the registry, too. */
const POLL_MS = 1_000;
const US_A_MS = 1_000;

export const bankIn = ({ machines }: DeploymentStatus) =>
  machines.find(({ machine, id }) => machine === "bank" && id === "main");
export const liveIn = ({ leaders }: DeploymentStatus) =>
  leaders.filter(({ state }) => state === "live").map(({ id }) => id);

function firstTableOfBank(status: DeploymentStatus): Table | undefined {
  const [first] = bankIn(status)?.configuration.acceptors ?? [];
  return status.acceptors.find(({ id }) => id === first);
}

/** Between two answers, once so many were there. */
function longestPauseMs(load: Load, after: number): number {
  const answers = load
    .operations()
    .filter(({ ok }) => ok)
    .map((operation) => operation.return)
    .sort((one, other) => one - other)
    .slice(Math.max(0, after - 1));
  const pauses = answers.slice(1).map((time, index) => time - (answers[index] as number));
  return Math.max(...pauses) / US_A_MS;
}

export class AwsDrill {
  readonly #deployed: Deployed;

  constructor(deployed: Deployed) {
    this.#deployed = deployed;
  }

  async status(): Promise<DeploymentStatus> {
    const answer = await fetch(`${this.#deployed.url}/v1/status`);
    if (!answer.ok) throw new Error(`no status: ${await answer.text()}`);
    return (await answer.json()) as DeploymentStatus;
  }

  /** While something is being replaced there may be no answer. */
  async statusThat(holds: (status: DeploymentStatus) => boolean): Promise<DeploymentStatus> {
    for (;;) {
      const status = await this.status().catch(() => undefined);
      if (status !== undefined && holds(status)) return status;
      await sleep(POLL_MS);
    }
  }

  async progress(load: Load): Promise<void> {
    const before = load.acknowledged();
    await until(() => load.acknowledged() >= before + PROGRESS);
  }

  /** The bank, and operators, by the stack's name. */
  async answers(): Promise<void> {
    const { stack, where } = this.#deployed;
    const deposit = JSON.stringify({ type: "deposit", account: "treasury", amount: 1 });
    const said = (...args: string[]) => theseus([...args, "--stack", stack, "--yes"]);
    const sent = await said("send", "bank/first", deposit);
    expect(sent, sent.stderr).toMatchObject({ code: 0, stdout: "OK\n" });
    expect(await said("query", "bank/first", "balance", "treasury")).toMatchObject({
      code: 0,
      stdout: "1\n",
    });
    const drained = await said("drain", "leader-99");
    expect(drained.stderr, "an operator's call gets past the gateway by its token").toContain("leader-99");
    const { stdout } = await said("status", "--json");
    expect(liveIn(JSON.parse(stdout))).toHaveLength(2);
    const missing = await theseus(["status", "--stack", "theseus-other"]);
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toContain(`there is no stack theseus-other in ${where.region}`);
  }

  /** In ms: until the spare has the lost table's place, and until the next spare, made by the provisioner, is there. */
  async losesTable(load: Load): Promise<{ readonly repaired: number; readonly replaced: number }> {
    // Whoever answers may not have heard yet where the bank's tables are.
    const before = await this.statusThat((status) => firstTableOfBank(status) !== undefined);
    const { id: lost, location } = firstTableOfBank(before) as Table;
    const started = performance.now();
    await this.#deleteTable(location);
    await this.statusThat((status) => {
      const acceptors = bankIn(status)?.configuration.acceptors ?? [];
      return acceptors.length === 3 && !acceptors.includes(lost);
    });
    const repaired = performance.now() - started;
    const known = new Set(before.acceptors.map(({ id }) => id));
    await this.statusThat(({ acceptors }) =>
      acceptors.some(({ id, role }) => !known.has(id) && role === "spare"),
    );
    const replaced = performance.now() - started;
    await this.progress(load);
    return { repaired, replaced };
  }

  /** In ms: the longest time without an answer, and the time until as many leaders live as before. */
  async losesLeader(
    load: Load,
    kill: (leader: Leader) => Promise<void>,
  ): Promise<{ readonly failover: number; readonly replaced: number }> {
    const leading = await this.statusThat((status) => typeof bankIn(status)?.leader?.id === "string");
    const killed = leading.leaders.find(({ id }) => id === bankIn(leading)?.leader?.id) as Leader;
    const answered = load.acknowledged();
    const started = performance.now();
    await kill(killed);
    await this.progress(load);
    await this.statusThat((status) => {
      const live = liveIn(status);
      return live.length === 2 && !live.includes(killed.id);
    });
    const replaced = performance.now() - started;
    return { failover: longestPauseMs(load, answered), replaced };
  }

  /** Another version of the machines in `file`, until no leader of before is left. */
  async deploysVersion(load: Load, file: string, deploy: (entry: string) => Promise<void>): Promise<void> {
    const old = liveIn(await this.statusThat((status) => liveIn(status).length === 2));
    const entry = join(temporaryFolder(), "next.ts");
    writeFileSync(entry, `export { bank } from ${JSON.stringify(resolve(file))};\nexport const next = 2;\n`);
    await deploy(entry);
    await this.statusThat((status) => {
      const live = liveIn(status);
      return live.length === 2 && !live.some((id) => old.includes(id));
    });
    await this.progress(load);
  }

  /** Of a sandbox: no table is left. */
  async isDestroyed(): Promise<void> {
    expect((await this.#tables()).length).toBeGreaterThan(4);
    const destroyed = await theseus(["aws", "destroy", "--stack", this.#deployed.stack, "--yes", "--json"]);
    expect(destroyed, destroyed.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(destroyed.stdout)).toMatchObject({ kept: [] });
    expect(await this.#tables()).toEqual([]);
  }

  async #tables(): Promise<readonly string[]> {
    return this.#asking(async (client) => {
      const names: string[] = [];
      let page: ListTablesCommandInput = {};
      do {
        const { TableNames = [], LastEvaluatedTableName: last } = await client.send(
          new ListTablesCommand(page),
        );
        names.push(...TableNames);
        page = last === undefined ? {} : { ExclusiveStartTableName: last };
      } while (page.ExclusiveStartTableName !== undefined);
      return names.filter((name) => name.startsWith(`${this.#deployed.stack}-`));
    });
  }

  async #deleteTable(location: string): Promise<void> {
    await this.#asking((client) =>
      client.send(new DeleteTableCommand({ TableName: location.split("/")[1] })),
    );
  }

  async #asking<Answer>(ask: (client: DynamoDBClient) => Promise<Answer>): Promise<Answer> {
    const { region, place } = this.#deployed.where;
    const client = dynamodbClient(region, place);
    try {
      return await ask(client);
    } finally {
      client.destroy();
    }
  }
}
