import { inject } from "vitest";
import { dynamodbConformance } from "./conformance.ts";

dynamodbConformance("DynamoDB Local", inject("dynamodbLocal"));
