import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { SqliteTables } from "../../shared/provision/tables-sqlite.ts";
import { createSqliteTable, sqliteStore } from "../../shared/storage/sqlite.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { tablesConformance } from "./tables.ts";

tablesConformance("SQLite", async () => {
  const folder = temporaryFolder();
  return {
    open: () => new SqliteTables(folder),
    store: ({ location, incarnation }) => sqliteStore(location, incarnation),
    stranger: async () => {
      const id = `r1-${randomBytes(16).toString("hex")}`;
      createSqliteTable(join(folder, `${id}.sqlite`), "0f");
      return id as AcceptorId;
    },
  };
});
