/** What stands for ECS on this machine: processes follow tasks, and tasks follow processes. */
import { expect, onTestFinished, test } from "vitest";
import type { Service, Task } from "../../cli/aws/service.ts";
import { type TaskProcess, TaskRunner } from "../../cli/aws/task-runner.ts";
import { until } from "../support/deployment.ts";

/** ECS as MiniStack has it: it starts tasks when the service is touched, and replaces none by itself. */
class FakeService implements Service {
  wanted = 2;
  running: Task[] = [];
  readonly stoppedTasks: string[] = [];
  #count = 0;
  async tasks() {
    return { running: this.running, wanted: this.wanted };
  }
  async definition(): Promise<never> {
    throw new Error("not asked");
  }
  async stopped({ id }: Task, why: string) {
    this.stoppedTasks.push(`${id}: ${why}`);
    this.stop(id);
  }
  async replaceStopped() {
    while (this.running.length < this.wanted) this.add();
  }
  add() {
    this.running = [...this.running, { id: `t${++this.#count}`, definition: "d" }];
  }
  stop(id: string) {
    this.running = this.running.filter((task) => task.id !== id);
  }
  close() {}
}

class FakeProcess implements TaskProcess {
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<string>();
  readonly ready = this.#ready.promise;
  readonly ended = this.#ended.promise;
  isStopped = false;
  serve() {
    this.#ready.resolve();
  }
  die() {
    this.#ended.resolve("it died");
  }
  async stop() {
    this.isStopped = true;
    this.die();
  }
}

function running({ serves = () => true }: { readonly serves?: (id: string) => boolean } = {}) {
  const service = new FakeService();
  const processes = new Map<string, FakeProcess>();
  const failures: unknown[] = [];
  const runner = new TaskRunner({
    service,
    async start({ id }) {
      const process = new FakeProcess();
      processes.set(id, process);
      if (serves(id)) process.serve();
      return process;
    },
    failed: (error) => failures.push(error),
  });
  onTestFinished(() => runner.stop());
  return { service, processes, runner, failures };
}

test("has as many processes as the service wants, whether that grows or shrinks", async () => {
  const { service, processes, runner } = running();
  await runner.start();
  expect([...processes.keys()]).toEqual(["t1", "t2"]);
  service.wanted = 3;
  await until(() => processes.size === 3);
  service.stop("t1");
  service.wanted = 2;
  await until(() => processes.get("t1")?.isStopped === true);
  expect(processes.get("t2")?.isStopped).toBe(false);
});

test("a process that dies has its task stopped, and another one is run", async () => {
  const { service, processes, runner } = running();
  await runner.start();
  processes.get("t2")?.die();
  await until(() => processes.has("t3"));
  expect(service.stoppedTasks).toEqual(["t2: it died"]);
  expect(service.running.map(({ id }) => id)).toEqual(["t1", "t3"]);
  expect(processes.get("t1")?.isStopped).toBe(false);
});

test("a stopped task's process goes on until those that came with it serve", async () => {
  const { service, processes, runner } = running({ serves: (id) => id !== "t3" });
  await runner.start();
  service.add();
  service.stop("t1");
  await until(() => processes.has("t3"));
  expect(processes.get("t1")?.isStopped).toBe(false);
  processes.get("t3")?.serve();
  await until(() => processes.get("t1")?.isStopped === true);
});

test("stops all that it started, also while it waits for one", async () => {
  const { processes, runner } = running({ serves: () => false });
  const starting = runner.start();
  await until(() => processes.size === 2);
  await runner.stop();
  await starting;
  expect([...processes.values()].every(({ isStopped }) => isStopped)).toBe(true);
});

test("what fails is told and tried again", async () => {
  const { service, runner, failures } = running();
  const { tasks } = service;
  let attempts = 0;
  service.tasks = () => (++attempts < 3 ? Promise.reject(new Error("no answer")) : tasks.call(service));
  await runner.start();
  expect(failures).toHaveLength(2);
});
