/** A process that sends 1, 2, 3 … and says of each when it was sent, until it is killed: queue-sender.ts FILE */
import { writeSync } from "node:fs";
import { LocalQueue } from "../../shared/provision/queue-local.ts";

const queue = new LocalQueue(process.argv[2] as string, { visibilityMs: 1_000, receivesMax: 3 });
for (let message = 1; ; message++) {
  await queue.send(String(message));
  writeSync(1, `${message}\n`);
}
