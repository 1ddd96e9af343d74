/**
 * A deployment's directory on AWS: what has to be known before the registry answers, above all where the registry is
 * (PROTOCOL §8), and hints for whoever cannot ask it. It is kept in one place a Region, so that whoever loses one
 * Region still finds it in another.
 *
 * Where the registry is only moves on, and in all places: what only an older configuration used is deleted once the
 * newer one is pointed to, so a place that did not hear of it would point to what is gone.
 */
import { randomBytes } from "node:crypto";
import { Invalid, type TheseusError, Unavailable, VersionSkew } from "../errors.ts";
import type { Configuration } from "../protocol/configuration.ts";
import type { LeaderServer } from "../protocol/registry.ts";
import type { Documents } from "../storage/documents.ts";
import { fields, isServer, registryFault } from "./deployment-format.ts";
import type { Pointer } from "./registry/registry-service.ts";
import { newPrivateKey, signerOf } from "./signing.ts";
import type { SignerName, TokenKeys } from "./tokens/signers.ts";

const FORMAT = 1;
const REGISTRY = "registry";
const DEPLOYMENT = "deployment";
const LEADERS = "leaders";
const TOKENS = "tokens";
/** Each in an item of its own, which one role may read. */
const PRIVATE: Readonly<Record<SignerName, string>> = { registry: "key/registry", gateway: "key/gateway" };
/** Those who write at once are few, and one of them succeeds each time. */
const WRITES_MAX = 20;

/** Where the registry is. */
export interface RegistryPlace extends Pointer {
  /** 128 random bits: the deployment, whatever its name. */
  readonly deployment: string;
  /** Of the registry's function. */
  readonly address: string;
  /** What the registry began with: a constant of its life. */
  readonly first: Configuration;
}

interface KeptDeployment {
  readonly format: number;
  readonly deployment: string;
}

interface LeadersHint {
  readonly format: number;
  /** Of the registry, when it said so: older words do not replace newer ones. */
  readonly slot: number;
  readonly leaders: readonly LeaderServer[];
}

interface KeptKeys {
  readonly format: number;
  readonly keys: TokenKeys;
}
interface KeptKey {
  readonly format: number;
  /** PKCS #8 in base64. */
  readonly privateKey: string;
}

export class Directory {
  readonly #places: readonly [Documents, ...Documents[]];

  /** The nearest first is asked for hints. Who makes a deployment has to have them in the order that all others have. */
  constructor(places: readonly Documents[]) {
    const [first, ...others] = places;
    if (first === undefined) throw new RangeError("a directory has one place at least");
    this.#places = [first, ...others];
  }

  /**
   * The newest that any place tells. @throws Unavailable when none answers, or none was made yet; Invalid when they tell
   * of different registries.
   */
  async registry(): Promise<RegistryPlace> {
    const read = await Promise.allSettled(this.#places.map(readRegistry));
    const found = newest(read.flatMap((each) => (each.status === "fulfilled" ? (each.value ?? []) : [])));
    if (found !== undefined) return found;
    const [failure] = read.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    throw failure ?? new Unavailable("unavailable", `${this.#names} names no registry yet: deploy first`);
  }

  /** Its random id, which never changes: from the nearest place. @throws Unavailable when no place answers, or none has it. */
  async deployment(): Promise<string> {
    return (await this.#first<RegistryPlace>(REGISTRY)).deployment;
  }

  /** Undefined: none was made. @throws Unavailable unless every place answers; Invalid as `registry` does. */
  async find(): Promise<RegistryPlace | undefined> {
    const read = await Promise.all(this.#places.map(readRegistry));
    return newest(read.filter((each) => each !== undefined));
  }

  /**
   * The deployment's 128 random bits: drawn once, and the same in all places, before anything is made for it, so that
   * whatever is made can bear them. @throws Unavailable unless every place takes them.
   */
  async makeDeployment(): Promise<string> {
    const known = await this.find();
    if (known !== undefined) return known.deployment;
    const text = await this.#makeOnce(DEPLOYMENT, () => {
      const deployment = randomBytes(16).toString("hex");
      return JSON.stringify({ format: FORMAT, deployment } satisfies KeptDeployment);
    });
    const { deployment } = parsed(this.#places[0].place, text) as unknown as KeptDeployment;
    return deployment;
  }

  /**
   * Makes it, once: answers what stands, which is another's where that came first. A place that has none gets it.
   * @throws Unavailable unless every place takes it.
   */
  async make(place: RegistryPlace): Promise<RegistryPlace> {
    const known = await this.find();
    const made = known ?? (await makeIn(this.#places[0], place));
    for (const documents of this.#places) await makeIn(documents, made);
    return made;
  }

  /** On to a newer configuration; an older one changes nothing. @throws Unavailable unless every place takes it. */
  async move(to: Pointer): Promise<void> {
    const { configuration, acceptors } = to;
    await this.#change((known) => {
      const isNewer = configuration.number > known.configuration.number;
      return isNewer ? { ...known, configuration, acceptors } : undefined;
    });
  }

  /** The registry's function has another address now. @throws Unavailable unless every place takes it. */
  async readdress(address: string): Promise<void> {
    await this.#change((known) => (known.address === address ? undefined : { ...known, address }));
  }

  /** Those that lived when the registry last said so, as the nearest place has it. @throws Unavailable when none answers. */
  async leaders(): Promise<readonly LeaderServer[]> {
    const failures: unknown[] = [];
    for (const documents of this.#places)
      try {
        // One that was made anew has heard nothing yet, which does not say that there are none.
        const hint = hintIn(documents, (await documents.read(LEADERS))?.text);
        if (hint !== undefined) return hint.leaders;
      } catch (error) {
        failures.push(error);
      }
    if (failures.length === this.#places.length) throw failures[0];
    return [];
  }

  /** `slot`: that the registry had executed. A hint: places that cannot be written are left. @throws when none can. */
  async tellLeaders(leaders: readonly LeaderServer[], slot: number): Promise<void> {
    const told = await Promise.allSettled(
      this.#places.map((documents) =>
        update(documents, LEADERS, (text) => {
          const isOlder = (hintIn(documents, text)?.slot ?? 0) < slot;
          return isOlder
            ? JSON.stringify({ format: FORMAT, slot, leaders } satisfies LeadersHint)
            : undefined;
        }),
      ),
    );
    const failures = told.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    if (failures.length === this.#places.length) throw failures[0];
  }

  /**
   * The keys that tokens are signed with, made once and the same in all places. Answers the public ones.
   * @throws Unavailable unless every place takes them.
   */
  async makeKeys(): Promise<TokenKeys> {
    const keys = { registry: await this.#makeKey("registry"), gateway: await this.#makeKey("gateway") };
    const text = JSON.stringify({ format: FORMAT, keys } satisfies KeptKeys);
    for (const documents of this.#places) await write(documents, TOKENS, text);
    return keys;
  }

  /** The public ones. @throws Unavailable when no place answers, or none has them. */
  async keys(): Promise<TokenKeys> {
    const { keys } = await this.#first<KeptKeys>(TOKENS);
    return keys;
  }

  /** For that signer itself; others may not read it. @throws Unavailable when no place answers, or none has it. */
  async privateKey(of: SignerName): Promise<string> {
    return (await this.#first<KeptKey>(PRIVATE[of])).privateKey;
  }

  close(): void {
    for (const documents of this.#places) documents.close();
  }

  async #makeKey(of: SignerName): Promise<string> {
    const text = await this.#makeOnce(PRIVATE[of], () =>
      JSON.stringify({ format: FORMAT, privateKey: newPrivateKey() } satisfies KeptKey),
    );
    const { privateKey } = parsed(this.#places[0].place, text) as unknown as KeptKey;
    return signerOf(privateKey).publicKey;
  }

  /** What stands in all places then: what any of them had, whoever made it, or else something fresh. */
  async #makeOnce(name: string, fresh: () => string): Promise<string> {
    const read = await Promise.all(this.#places.map((documents) => documents.read(name)));
    const made = read.find((found) => found !== undefined)?.text ?? fresh();
    const [first, ...others] = this.#places;
    const stands = await update(first, name, (text) => (text === undefined ? made : undefined));
    for (const documents of others) await write(documents, name, stands as string);
    return stands as string;
  }

  /** From the nearest place that has it. */
  async #first<Kept>(name: string): Promise<Kept> {
    let failure: unknown;
    for (const documents of this.#places)
      try {
        const found = await documents.read(name);
        if (found !== undefined) return parsed(documents.place, found.text) as unknown as Kept;
      } catch (error) {
        failure = error;
      }
    throw failure ?? new Unavailable("unavailable", `${this.#names} has no ${name} yet: deploy first`);
  }

  get #names(): string {
    return `the directory ${this.#places.map(({ place }) => place).join(", ")}`;
  }

  /** A place that was made anew begins with what the others have. */
  async #change(change: (known: RegistryPlace) => RegistryPlace | undefined): Promise<void> {
    const known = await this.find();
    if (known === undefined)
      throw new Unavailable("unavailable", `${this.#names} names no registry: deploy again`);
    await Promise.all(
      this.#places.map((documents) =>
        update(documents, REGISTRY, (text) => {
          const here = registryIn(documents, text);
          const changed = change(here ?? known);
          if (changed === undefined && here === undefined) return textOf(known);
          return changed && textOf(changed);
        }),
      ),
    );
  }
}

/** @throws Invalid when they are not all of one registry: each has tables that the others do not know of. */
function newest(places: readonly RegistryPlace[]): RegistryPlace | undefined {
  const registries = new Set(places.map(({ deployment }) => deployment));
  if (registries.size > 1)
    throw new Invalid(
      "invalid_request",
      `the places of the directory name different registries (${[...registries].join(", ")}): each of these is a deployment of its own, so give them different names`,
    );
  return places.reduce<RegistryPlace | undefined>(
    (best, each) =>
      best !== undefined && best.configuration.number >= each.configuration.number ? best : each,
    undefined,
  );
}

async function readRegistry(documents: Documents): Promise<RegistryPlace | undefined> {
  return registryIn(documents, (await documents.read(REGISTRY))?.text);
}

/** What stands there afterwards. */
async function makeIn(documents: Documents, place: RegistryPlace): Promise<RegistryPlace> {
  const stands = await update(documents, REGISTRY, (text) =>
    text === undefined ? textOf(place) : undefined,
  );
  return registryIn(documents, stands) as RegistryPlace;
}

/**
 * `change` is given what stands and answers what is to stand, or undefined to leave it; it may be asked several times.
 * Answers what stands afterwards. @throws Unavailable when nobody knows.
 */
async function update(
  documents: Documents,
  name: string,
  change: (text: string | undefined) => string | undefined,
): Promise<string | undefined> {
  for (let attempt = 1; attempt <= WRITES_MAX; attempt++) {
    const found = await documents.read(name);
    const text = change(found?.text);
    if (text === undefined) return found?.text;
    if (await documents.write(name, text, found?.version ?? 0)) return text;
  }
  throw new Unavailable("unavailable", `others write ${name} of ${documents.place} all the time: try again`);
}

/** What is to stand there, whatever did. */
async function write(documents: Documents, name: string, wanted: string): Promise<void> {
  await update(documents, name, (text) => (text === wanted ? undefined : wanted));
}

function textOf({ deployment, address, first, configuration, acceptors }: RegistryPlace): string {
  return JSON.stringify({ format: FORMAT, deployment, address, first, configuration, acceptors });
}

/** @throws Invalid or VersionSkew in a sentence for a person. */
function registryIn({ place }: Documents, text: string | undefined): RegistryPlace | undefined {
  if (text === undefined) return undefined;
  const { deployment, address, first, configuration, acceptors } = parsed(place, text);
  const isText = typeof deployment === "string" && deployment !== "" && typeof address === "string";
  if (!isText || !URL.canParse(address)) throw damaged(place, "it has no deployment or no address");
  if (!Array.isArray(acceptors) || !acceptors.every((each) => isServer(each, "dynamodb")))
    throw damaged(place, "its registry's acceptors are not DynamoDB tables");
  const found = { deployment, address, first, configuration, acceptors } as RegistryPlace;
  const fault = registryFault(found);
  if (fault !== undefined) throw damaged(place, fault);
  return found;
}

function hintIn({ place }: Documents, text: string | undefined): LeadersHint | undefined {
  return text === undefined ? undefined : (parsed(place, text) as unknown as LeadersHint);
}

function parsed(place: string, text: string): Partial<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(place, "it is not JSON");
  }
  const found = fields(value);
  if (found.format === FORMAT) return found;
  throw new VersionSkew(
    "version_skew",
    `the directory ${place} has format ${found.format}, and this version reads ${FORMAT}: upgrade`,
  );
}

function damaged(place: string, fault: string): TheseusError {
  return new Invalid("invalid_request", `the directory ${place} is damaged: ${fault}`);
}
