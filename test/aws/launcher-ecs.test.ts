/** Leaders as tasks of an ECS service, as MiniStack has it: it counts them and runs nothing. */
import { expect, test } from "vitest";
import { registryCommandOf } from "../../shared/runtime/registry/registry-commands.ts";
import { launcherOf, newService } from "./services.ts";

test("one more is started by raising the service's count, and never lowers it", async () => {
  const { launcher, desired } = await newService(2);
  expect((await launcher.list()).length).toBe(2);
  await launcher.start("leader-1", 1);
  expect(await desired()).toBe(2);
  for (let again = 0; again < 2; again++) await launcher.start("leader-3", 3);
  expect([await desired(), (await launcher.list()).length]).toEqual([3, 3]);
});

test("one is stopped by its task, also again, and others are left alone", async () => {
  const { launcher } = await newService(3);
  const [task = "", ...others] = await launcher.list();
  await launcher.stop({ id: "leader-9" });
  expect((await launcher.list()).length).toBe(3);
  for (let again = 0; again < 2; again++) await launcher.stop({ id: "leader-1", task });
  const left = await launcher.list();
  expect(left).not.toContain(task);
  expect(left).toEqual(expect.arrayContaining(others));
  await launcher.stop({ id: "leader-2", task: task.replace(/.{8}$/, "00000000") });
  expect(await launcher.list()).toEqual(left);
});

test("more of them than one answer holds are listed", async () => {
  const { launcher } = await newService(130);
  expect(new Set(await launcher.list()).size).toBe(130);
});

test("a task's name is one that the registry takes", async () => {
  const { launcher } = await newService(1);
  const [task] = await launcher.list();
  expect(registryCommandOf({ type: "claimLeader", task })).toEqual({ type: "claimLeader", task });
});

test("a cluster or a service that is not there is named, and the next move", async () => {
  const { cluster } = await newService(1);
  const nobody = launcherOf({ cluster: "theseus-nobody", service: "leaders" });
  const missing = launcherOf({ cluster, service: "theseus-nobody" });
  await expect(nobody.list()).rejects.toThrow(/^leaders cannot be listed: it is not there: deploy the stack/);
  await expect(missing.start("leader-1", 1)).rejects.toThrow(
    /^leader-1 cannot be started: it is not there: .*no service theseus-nobody in the cluster/,
  );
});
