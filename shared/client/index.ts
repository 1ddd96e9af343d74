/** The client: what a program imports from "theseus/client" to use machines that run elsewhere. */
export { type ConnectOptions, connect, type Theseus } from "./connect.ts";
export * from "./errors.ts";
export type { InboxMessage, InboxOptions, MachineClient, QueryOptions, SendOptions } from "./machine.ts";
