/** Before each test file: deployments of the end-to-end tests have their tables in an emulator's DynamoDB. */
import { inject } from "vitest";

process.env.THESEUS_TEST_STORE = "dynamodb";
process.env.AWS_ENDPOINT_URL_DYNAMODB = inject("ministack");
