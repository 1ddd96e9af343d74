/** All the processes of a deployment: started one after another, stopped those first that ask the others. */
import { Unavailable } from "../../shared/errors.ts";
import { Child, type ChildOptions } from "./child.ts";

const STOP_ORDER = [
  "gateway",
  "provisioner",
  "leader",
  "registry",
] as const satisfies ChildOptions["entry"][];

export class Parts {
  readonly #report: ChildOptions["report"];
  readonly #children = new Map<string, { readonly entry: ChildOptions["entry"]; readonly child: Child }>();
  #isStopping = false;

  constructor(report: ChildOptions["report"]) {
    this.#report = report;
  }

  /** Its address, once it is ready. @throws Unavailable when it dies before that, and after `stop`. */
  async start(options: Omit<ChildOptions, "report">): Promise<string> {
    if (this.#isStopping) throw new Unavailable("unavailable", "the deployment is being stopped");
    const child = new Child({ ...options, report: this.#report });
    this.#children.set(options.part, { entry: options.entry, child });
    return child.start();
  }

  /** That part alone, and for good. */
  async stopOne(part: string): Promise<void> {
    await this.#children.get(part)?.child.stop();
    this.#children.delete(part);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const next of STOP_ORDER)
      await Promise.all(
        [...this.#children.values()].filter(({ entry }) => entry === next).map(({ child }) => child.stop()),
      );
  }

  /** At once, and nothing is waited for. */
  kill(): void {
    this.#isStopping = true;
    for (const { child } of this.#children.values()) child.kill();
  }
}
