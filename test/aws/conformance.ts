/** The suite of all acceptor stores, on an emulator of DynamoDB. */
import { acceptorStoreConformance } from "../conformance/acceptor-store.ts";
import { deleteTable, newTable, storeOn } from "./tables.ts";

export function dynamodbConformance(name: string, endpoint: string): void {
  acceptorStoreConformance(name, async () => {
    const table = await newTable(endpoint);
    const handles = [storeOn(table), storeOn(table)] as const;
    let isThere = true;
    return {
      store: handles[0],
      second: handles[1],
      async destroy() {
        await deleteTable(table);
        isThere = false;
      },
      async rebirth() {
        await deleteTable(table);
        return storeOn(await newTable(endpoint, table.name));
      },
      async cleanup() {
        await Promise.all(handles.map((handle) => handle.close()));
        if (isThere) await deleteTable(table);
      },
    };
  });
}
