import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import {
  type LaunchAnswer,
  type LaunchRequest,
  ParentLauncher,
} from "../../shared/provision/launcher-parent.ts";

class Parent extends EventEmitter<{ message: [unknown] }> {
  readonly asked: LaunchRequest[] = [];
  answerTo: (request: LaunchRequest) => Omit<LaunchAnswer, "launcher"> = () => ({});
  isGone = false;

  send(request: LaunchRequest, done: (error: Error | null) => void): boolean {
    this.asked.push(request);
    const { launcher } = request;
    queueMicrotask(() => {
      done(this.isGone ? new Error("channel closed") : null);
      if (!this.isGone) this.emit("message", { launcher, ...this.answerTo(request) });
    });
    return true;
  }
}

test("each question gets its own answer", async () => {
  const parent = new Parent();
  const launcher = new ParentLauncher(parent);
  parent.answerTo = (request) => (request.act === "list" ? { leaders: ["leader-1"] } : {});
  const [, , leaders] = await Promise.all([
    launcher.start("leader-1"),
    launcher.stop({ id: "leader-2" }),
    launcher.list(),
  ]);
  expect(leaders).toEqual(["leader-1"]);
  expect(parent.asked).toMatchObject([
    { act: "start", leader: "leader-1" },
    { act: "stop", leader: "leader-2" },
    { act: "list" },
  ]);
  expect(new Set(parent.asked.map((request) => request.launcher)).size).toBe(3);
});

test("what could not be done, and a parent that is gone or never was, are failures", async () => {
  const parent = new Parent();
  const launcher = new ParentLauncher(parent);
  parent.answerTo = () => ({ error: "leader-1 could not be started" });
  await expect(launcher.start("leader-1")).rejects.toThrow("leader-1 could not be started");
  parent.isGone = true;
  await expect(launcher.list()).rejects.toThrow("channel closed");
  await expect(new ParentLauncher(new EventEmitter()).list()).rejects.toThrow("there is no process to ask");
});
