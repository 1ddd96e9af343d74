import { inject } from "vitest";
import { dynamodbConformance } from "./conformance.ts";

dynamodbConformance("MiniStack", inject("ministack"));
