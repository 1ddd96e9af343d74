/** A process that locks a folder, says so, and holds it until it is killed: hold-lock.ts DIR */
import { lockFolder } from "../../cli/dev/lock.ts";

const lock = lockFolder(process.argv[2] as string);
process.stdout.write("held\n");
// The lock lives as long as somebody refers to it: a database that is garbage is closed.
setInterval(() => lock, 1_000);
