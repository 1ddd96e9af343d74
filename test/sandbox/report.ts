/** What a run found, in figures, for a person: printed when it is over, also when it failed. */
export class Report {
  readonly #lines: string[] = [];

  figure(what: string, value: string): void {
    this.#lines.push(`${what.padEnd(56)} ${value}`);
  }

  ms(what: string, ms: number): void {
    this.figure(what, `${Math.round(ms)} ms`);
  }

  notShown(what: string): void {
    this.figure(what, "not shown: only a real account can");
  }

  print(where: string): void {
    process.stdout.write(`\n${where}\n${this.#lines.map((line) => `  ${line}\n`).join("")}\n`);
  }
}
