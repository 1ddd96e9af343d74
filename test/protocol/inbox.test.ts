import { beforeEach, describe, expect, it } from "vitest";
import { INBOX_MESSAGES_MAX, INBOXES_MAX, Inboxes } from "../../shared/protocol/inbox.ts";

let inboxes: Inboxes;
beforeEach(() => {
  inboxes = new Inboxes();
});

describe("inboxes", () => {
  it("hold each client's messages, oldest first, numbered over all clients", () => {
    inboxes.deliver("bob", '"one"');
    inboxes.deliver("alice", '"two"');
    inboxes.deliver("bob", '"three"');
    expect(inboxes.read("bob", 0)).toEqual([
      { cursor: 1, message: '"one"' },
      { cursor: 3, message: '"three"' },
    ]);
    expect(inboxes.read("alice", 0)).toEqual([{ cursor: 2, message: '"two"' }]);
    expect(inboxes.read("carol", 0)).toEqual([]);
  });

  it("are read on from a cursor, as often as wanted", () => {
    for (const text of ["1", "2", "3"]) inboxes.deliver("bob", text);
    expect(inboxes.read("bob", 1).map(({ cursor }) => cursor)).toEqual([2, 3]);
    expect(inboxes.read("bob", 1).map(({ cursor }) => cursor)).toEqual([2, 3]);
    expect(inboxes.read("bob", 3)).toEqual([]);
    expect(inboxes.read("bob", 99)).toEqual([]);
  });

  it("forget a client's oldest messages, never another's", () => {
    inboxes.deliver("alice", "kept");
    for (let count = 0; count <= INBOX_MESSAGES_MAX; count++) inboxes.deliver("bob", `${count}`);
    expect(inboxes.read("bob", 0)).toHaveLength(INBOX_MESSAGES_MAX);
    expect(inboxes.read("bob", 0)[0]).toEqual({ cursor: 3, message: "1" });
    expect(inboxes.read("alice", 0)).toHaveLength(1);
  });

  it("forget the client that was written to least recently", () => {
    for (let count = 0; count < INBOXES_MAX; count++) inboxes.deliver(`client ${count}`, "1");
    inboxes.deliver("client 0", "2");
    inboxes.deliver("one more", "1");
    expect(inboxes.read("client 1", 0)).toEqual([]);
    expect(inboxes.read("client 0", 0)).toHaveLength(2);
    expect(inboxes.read("client 2", 0)).toHaveLength(1);
    expect(inboxes.read("one more", 0)).toHaveLength(1);
  });
});
