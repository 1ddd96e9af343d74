/**
 * The outbox (PROTOCOL §9): executing a registry command has no effect outside its state but this, that what is to be
 * done is appended here. Anybody may carry a request out, and twice; it stays until the registry is told that it is done.
 */
import type { AcceptorServer } from "./pool.ts";
import type { RegistryState } from "./registry.ts";

export type OutboxRequest =
  /** A table, by whatever name the attempt draws; done when one is `provisioned`. */
  | { readonly request: string; readonly type: "createAcceptor" }
  | { readonly request: string; readonly type: "deleteAcceptor"; readonly acceptor: AcceptorServer }
  /** A leader process of this id; done when that has registered itself. */
  | { readonly request: string; readonly type: "startLeader"; readonly leader: string }
  | { readonly request: string; readonly type: "stopLeader"; readonly leader: string };

type Unnumbered<Request> = Request extends OutboxRequest ? Omit<Request, "request"> : never;

/** The request's id, which no other ever has. */
export function append(state: RegistryState, request: Unnumbered<OutboxRequest>): string {
  const id = `o${++state.requests}`;
  state.outbox.set(id, { request: id, ...request } as OutboxRequest);
  return id;
}

export function outstanding<Type extends OutboxRequest["type"]>(
  state: RegistryState,
  type: Type,
): readonly Extract<OutboxRequest, { type: Type }>[] {
  return [...state.outbox.values()].filter(
    (request): request is Extract<OutboxRequest, { type: Type }> => request.type === type,
  );
}
