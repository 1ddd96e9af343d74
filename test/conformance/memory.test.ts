import { memoryStore } from "../../shared/storage/memory.ts";
import { acceptorStoreConformance } from "./acceptor-store.ts";

acceptorStoreConformance("memory", async () => {
  const store = memoryStore();
  return {
    store,
    destroy: async () => store.lose(),
    rebirth: async () => {
      store.lose();
      return memoryStore();
    },
    cleanup: () => store.close(),
  };
});
