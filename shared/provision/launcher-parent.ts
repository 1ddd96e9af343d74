/** Leader processes as siblings of this one: the process that started it, `theseus dev`, is asked over its channel. */
import type { LeaderServer } from "../protocol/leader-pool.ts";
import type { Launcher } from "./launcher.ts";

export type LaunchRequest =
  | { readonly launcher: number; readonly act: "start" | "stop"; readonly leader: string }
  | { readonly launcher: number; readonly act: "list" };
/** `launcher` is the request's. */
export interface LaunchAnswer {
  readonly launcher: number;
  readonly error?: string;
  readonly leaders?: readonly string[];
}

/** A leader stops within ten seconds, or is killed. */
const ANSWER_MS_MAX = 20_000;

type Unnumbered<Request> = Request extends LaunchRequest ? Omit<Request, "launcher"> : never;

/** What `process` offers to a child with a channel. */
export interface Channel {
  send?(message: LaunchRequest, done: (error: Error | null) => void): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

export class ParentLauncher implements Launcher {
  readonly #channel: Channel;
  readonly #underWay = new Map<number, (answer: LaunchAnswer) => void>();
  #asked = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.on("message", (message) => {
      const answer = message as LaunchAnswer;
      this.#underWay.get(answer.launcher)?.(answer);
    });
  }

  async start(leader: string): Promise<void> {
    await this.#ask({ act: "start", leader });
  }

  async stop({ id }: Pick<LeaderServer, "id">): Promise<void> {
    await this.#ask({ act: "stop", leader: id });
  }

  async list(): Promise<readonly string[]> {
    return (await this.#ask({ act: "list" })).leaders ?? [];
  }

  async #ask(request: Unnumbered<LaunchRequest>): Promise<LaunchAnswer> {
    const launcher = ++this.#asked;
    const { promise, resolve, reject } = Promise.withResolvers<LaunchAnswer>();
    const timer = setTimeout(() => reject(new Error("the launcher does not answer")), ANSWER_MS_MAX);
    this.#underWay.set(launcher, resolve);
    try {
      if (this.#channel.send === undefined) throw new Error("there is no process to ask for leaders");
      this.#channel.send({ launcher, ...request } as LaunchRequest, (error) => error && reject(error));
      const answer = await promise;
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(launcher);
    }
  }
}
