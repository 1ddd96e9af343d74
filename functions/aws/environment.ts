/** What the parts on AWS are told by their environment. What is missing is missing for good: a sentence, and no default. */
import { Directory } from "../../shared/runtime/directory.ts";
import { dynamodbDocuments } from "../../shared/storage/documents-dynamodb.ts";

/** @throws Error when it is not set. */
export function environment(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`${name} is not set: this part is deployed by the Theseus construct, which sets it`);
  return value;
}

/** Of a comma list. */
export function listOf(name: string): readonly string[] {
  return environment(name)
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/** Nearest first: this Region's place, if there is one, since a function in a VPC may reach no other. */
export function openDirectory(order: "asListed" | "nearestFirst" = "nearestFirst"): Directory {
  const locations = listOf("THESEUS_DIRECTORY");
  const isHere = (location: string) =>
    order === "nearestFirst" && location.startsWith(`${process.env.AWS_REGION}/`);
  const ordered = [...locations.filter(isHere), ...locations.filter((each) => !isHere(each))];
  return new Directory(ordered.map((location) => dynamodbDocuments(location)));
}
