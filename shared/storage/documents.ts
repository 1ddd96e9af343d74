/**
 * The port of small texts by name, kept for good in one place: what has to be known before the registry answers. A text
 * is only ever written in the place of the version that its writer has seen.
 */
export interface Document {
  /** From 1 on. */
  readonly version: number;
  readonly text: string;
}

export interface Documents {
  /** For a person. */
  readonly place: string;
  /** The newest version; undefined: there is none. @throws Unavailable when nobody knows. */
  read(name: string): Promise<Document | undefined>;
  /**
   * Whether it was written: only in the place of version `after`, or where there is none of that name (0). Said again
   * after a reply was lost, it answers no. @throws Unavailable when nobody knows.
   */
  write(name: string, text: string, after: number): Promise<boolean>;
  close(): void;
}
