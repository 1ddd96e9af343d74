/** Documents in memory, which may be out of reach. */
import { Unavailable } from "../../shared/errors.ts";
import type { Document, Documents } from "../../shared/storage/documents.ts";

export class MemoryDocuments implements Documents {
  readonly place: string;
  readonly documents = new Map<string, Document>();
  isAway = false;

  constructor(place: string) {
    this.place = place;
  }

  async read(name: string): Promise<Document | undefined> {
    this.#assertThere();
    return this.documents.get(name);
  }

  async write(name: string, text: string, after: number): Promise<boolean> {
    this.#assertThere();
    if ((this.documents.get(name)?.version ?? 0) !== after) return false;
    this.documents.set(name, { version: after + 1, text });
    return true;
  }

  close(): void {}

  #assertThere(): void {
    if (this.isAway) throw new Unavailable("unavailable", `${this.place} is away`);
  }
}
