/** How the local queue is used, by the registry that sends and the provisioner that receives. */
import type { QueueOptions } from "./queue.ts";

/** A request takes well below that, unless a leader is slow to stop; a second one at the same time does no harm. */
export const LOCAL_QUEUE: QueueOptions = { visibilityMs: 5_000, receivesMax: 5 };

/** None: a file is deleted under whoever has it open, and is gone to them as well (PROTOCOL §11). */
export const LOCAL_DRAIN_MS = 0;
