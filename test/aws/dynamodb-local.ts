/**
 * AWS's own DynamoDB Local. It listens on all interfaces and cannot be told not to: it has no data of anybody's, and
 * lives as long as the tests. Good for what DynamoDB means, not for how fast it is.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, type Emulator, program, startEmulator } from "../../cli/aws/emulator.ts";
import { CACHE } from "./cache.ts";

const VERSION = "3.3.1";
const COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const NEEDS = "DynamoDB Local needs Java 17 or later, and Maven to fetch it: default-jre-headless and maven";

const POM = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>theseus</groupId><artifactId>dynamodb-local</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>software.amazon.dynamodb</groupId><artifactId>DynamoDBLocal</artifactId><version>${VERSION}</version>
  </dependency></dependencies>
</project>`;

export async function startDynamodbLocal(port: number): Promise<Emulator> {
  await program(NEEDS, ["java", "-version"]);
  const folder = join(CACHE, `dynamodb-local-${VERSION}`);
  await cached(folder, async (into) => {
    const pom = join(into, "pom.xml");
    writeFileSync(pom, POM);
    const copy = [COPY_DEPENDENCIES, "-DincludeScope=runtime", "-DoutputDirectory=lib"];
    await program(NEEDS, ["mvn", "--batch-mode", "--quiet", "--file", pom, ...copy]);
  });
  const server = [
    "software.amazon.dynamodb.services.local.main.ServerRunner",
    "-inMemory",
    "-disableTelemetry",
  ];
  return startEmulator({
    name: "DynamoDB Local",
    port,
    command: ["java", "-Xmx512m", "-cp", join(folder, "lib", "*"), ...server, "-port", String(port)],
    env: { PATH: process.env.PATH },
  });
}
