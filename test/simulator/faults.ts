/**
 * Faults by name, and how often each was caused: a simulator that never causes a fault proves nothing about it.
 */
export const FAULTS = {
  requestLost: "a request to a table never arrived",
  requestDelayed: "a request arrived long after its sender had given it up",
  requestDuplicated: "a request was executed twice, soon after each other",
  requestRepeatedLate: "a request was executed again, long afterwards",
  replyLost: "a request was executed and its reply lost",
  replyDelayed: "a request was executed at once and its reply came almost too late",
  throttled: "a table answered at once that it did nothing, which the sender must take for unknown",
  verbsSplit: "the verbs of one request were executed apart, in another order",
  tableLost: "a table was deleted for ever",
  tableRecreated: "a table was deleted and created again, empty, under the same name",
  tableSlow: "a table answered many times slower than the others, for a time",
  tableUnreachable: "a table could not be reached, for a time",
  tableOneWay: "a table executed everything, and no reply came back, for a time",
  crash: "a process ended between two events",
  crashMidStep: "a process ended between two effects of one step",
  founderCrashed: "a process ended half-way through founding",
  restart: "a process came back with a new id and an empty memory",
  pause: "a process stood still: its timers fire late and it goes on as if nothing had happened",
  pausedLeader: "a leader stood still and went on",
  frozenHandler: "a stateless handler was frozen in the middle of an invocation",
  rivalLeader: "a process tried to lead while another one led",
  resign: "a leader resigned with commands under way",
  handOver: "a leader handed over",
  clockJump: "a process's wall clock jumped by up to an hour",
  followerGap: "a follower missed commands of the leader",
  reconfigure: "a process began to reconfigure",
  rivalReconfiguration: "a process began to reconfigure while another one did",
  leaderReconfigures: "the leader itself began to reconfigure",
  reconfigurerCrashed: "a process ended while it reconfigured",
  crashedAfterFence: "a process ended between the fence and the activation",
  reconfigurationGivenUp: "a reconfiguration was given up half-way",
  fencedInVain: "a reconfiguration failed after it had ended the old ballots",
  activated: "a configuration was activated, and its reconfigurer learned of it",
  badEndorsement: "a process refused to endorse a configuration, or endorsed it in a way that does not count",
  endorsed: "a reconfiguration had endorsements enough",
  notEndorsed: "a reconfiguration had too few endorsements, and was not activated",
  overridden: "a reconfiguration had too few endorsements, and an operator's override",
  superseded: "a configuration was transferred, and another one had been activated before it",
  staleConfiguration: "a process tried to lead a configuration that was over",
  retired: "a table that only older configurations had was deleted",
  provisioned: "a table was made for a request of the outbox, and reported",
  provisionedTwice: "a table was made for a request for which another one was recorded",
  provisionerCrashed: "whoever carried out a request of the outbox ended half-way",
  carriedOutLate: "a request of the outbox was carried out again, after it was done",
  orphan: "a table was made and never recorded, and was deleted by whoever sweeps up",
  spareLost: "a spare was lost before anybody used it",
  spareUsed: "a reconfiguration took a spare",
  tableSuspected: "a table was reported to the registry, rightly or wrongly",
  reconfigurationAsked: "a reconfiguration command was sent to a machine that has no registry",
  wrongExpect: "a reconfiguration command expected another configuration than the current one",
  voidSlot: "an earlier configuration chose a value in a slot that belongs to a later one",
  walkedOn: "a leader went on to the configuration of its next slot",
  pointerMoved: "a configuration was installed, and the pointer to it moved",
  truncate: "a process began to truncate the tables",
  rivalTruncation: "a process began to truncate while another one did",
  lateSnapshot: "a process truncated with a snapshot that was taken long before",
  truncated: "all tables of a configuration were truncated",
  truncatorCrashed: "a process ended while it truncated",
  snapshotCopied: "a table that lagged behind all chunks got a snapshot from another one",
  installedByFollower: "a follower took a snapshot over",
  installedByLeader: "a new leader took a snapshot over",
  installedByReconfigurer: "a process that reconfigures took a snapshot over",
  truncatedUnderReader: "a snapshot was replaced while it was read",
  registryLogged: "the registry was run by a log of its own",
  registryRequestLost: "a request to the registry was lost",
  registryRequestRepeated: "a request to the registry was executed again, long afterwards",
  clientRequestLost: "a command never reached a process",
  clientReplyLost: "an answer never reached its client",
  clientDuplicate: "a command arrived again, long after its client had gone on",
  clientTwoProcesses: "a command was sent to two processes at once",
  sessionAbandoned: "a client gave its session up, perhaps with a command under way",
  sessionUnknown: "a command named a session that was never opened",
} as const;

export type Fault = keyof typeof FAULTS;

export class Coverage {
  readonly #counts = new Map<Fault, number>();

  hit(fault: Fault): void {
    this.#counts.set(fault, this.count(fault) + 1);
  }

  count(fault: Fault): number {
    return this.#counts.get(fault) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  add(other: Coverage): void {
    for (const [fault, count] of other.#counts) this.#counts.set(fault, this.count(fault) + count);
  }

  missing(): readonly Fault[] {
    return (Object.keys(FAULTS) as Fault[]).filter((fault) => this.count(fault) === 0);
  }
}
