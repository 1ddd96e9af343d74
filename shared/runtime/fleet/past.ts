/** A machine's state as it was after an earlier slot: from the tables' snapshot and the chunks after it. */
import type { Configuration } from "../../protocol/configuration.ts";
import { Follower, type FollowerEffect, type FollowerInput } from "../../protocol/follower.ts";
import { RecentLog } from "../../protocol/log.ts";
import { Replica } from "../../protocol/replica.ts";
import type { Slot } from "../../protocol/slot.ts";
import { carryOut } from "../carry-out.ts";
import type { HostOptions } from "../host-options.ts";
import { trimmed } from "./trimmed.ts";

export interface PastOptions extends Pick<HostOptions, "machine" | "geometry" | "code" | "ports"> {
  readonly configuration: Configuration;
  /** What is not in the tables yet. */
  readonly recent: RecentLog;
}

/** @throws Invalid (trimmed) when `at` is before the tables' snapshot; Error when no table can show what is needed. */
export function replicaAt(options: PastOptions, at: Slot): Promise<Replica> {
  const { machine, geometry, code, ports, configuration, recent } = options;
  const replica = new Replica(code);
  const follower = new Follower({
    configuration,
    geometry,
    digest: ports.digest,
    log: new RecentLog(geometry),
  });
  return new Promise((resolve, reject) => {
    let isOver = false;
    const step = (input: FollowerInput): void => {
      if (isOver) return;
      try {
        for (const effect of follower.step(input)) carry(effect);
      } catch (error) {
        isOver = true;
        reject(error);
      }
      if (replica.applied < at) return;
      isOver = true;
      resolve(replica);
    };
    const carry = (effect: FollowerEffect): void => {
      if (effect.effect === "ask" || effect.effect === "retry") carryOut(ports, machine, effect, step);
      else if (effect.effect === "execute") executeThrough(effect.slot, effect.text);
      else if (effect.effect === "install") install(effect.slot, effect.frozen);
      else finish();
    };
    const executeThrough = (slot: Slot, text: string): void => {
      if (slot <= at) replica.execute(slot, text);
    };
    const install = (slot: Slot, frozen: Uint8Array): void => {
      if (slot > at) throw trimmed(machine, at, slot);
      replica.install(frozen);
    };
    const finish = (): void => {
      for (let slot = replica.applied + 1; slot <= at; slot++) {
        const text = recent.get(slot as Slot);
        if (text === undefined) throw new Error(`no table of ${machine} can show slot ${slot}`);
        replica.execute(slot as Slot, text);
      }
    };
    step({ input: "catchUp" });
  });
}
