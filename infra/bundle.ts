/** A program as one file that a leader fetches: whoever deploys needs neither Docker nor a place for images. */
import { basename, dirname, extname } from "node:path";
import { AssetHashType, BundlingOutput, DockerImage } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import type { Construct } from "constructs";
import { buildSync } from "esbuild";
import { REQUIRE_BANNER } from "./job.ts";

/** Whether these are the sources: then a user's program finds the library's sources too, as in this repository. */
const CONDITIONS = import.meta.url.endsWith(".ts") ? ["source"] : [];

/** Its name in S3 is its content's digest, so that a running task's programs are never changed. @throws Error as esbuild. */
export function bundle(scope: Construct, id: string, entry: string): Asset {
  return new Asset(scope, id, {
    path: dirname(entry),
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry("unused"),
      outputType: BundlingOutput.SINGLE_FILE,
      local: {
        tryBundle: (folder) => {
          buildSync({
            entryPoints: [entry],
            outfile: `${folder}/${basename(entry, extname(entry))}.js`,
            bundle: true,
            platform: "node",
            format: "esm",
            target: "node24",
            mainFields: ["module", "main"],
            conditions: CONDITIONS,
            banner: { js: REQUIRE_BANNER },
            logLevel: "error",
          });
          return true;
        },
      },
    },
  });
}
