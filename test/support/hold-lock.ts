/** A process that locks a folder, says so, and holds it until it is killed: hold-lock.ts DIR */
import { lockFolder } from "../../cli/dev/lock.ts";

lockFolder(process.argv[2] as string);
process.stdout.write("held\n");
setInterval(() => {}, 1_000);
