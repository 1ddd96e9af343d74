/** `npm run test:sandbox` costs money and deletes tables: it starts only where all of that was said. */
import { expect, test } from "vitest";
import { askedBy, assertAccount } from "./sandbox/asked.ts";

const ACCOUNT = "123456789012";
const REAL = { THESEUS_AWS: "real", THESEUS_SANDBOX_ACCOUNT: ACCOUNT, AWS_REGION: "eu-central-1" };

test.each([
  [{}, "THESEUS_AWS=real does not say so"],
  [{ ...REAL, THESEUS_AWS: "yes" }, "THESEUS_AWS=real does not say so"],
  [{ ...REAL, AWS_ENDPOINT_URL: "http://127.0.0.1:4566" }, "AWS_ENDPOINT_URL is set"],
  [{ ...REAL, AWS_ENDPOINT_URL_DYNAMODB: "http://127.0.0.1:1" }, "AWS_ENDPOINT_URL_DYNAMODB is set"],
  [{ THESEUS_AWS: "real", AWS_REGION: "eu-central-1" }, "the 12 digits of an account"],
  [{ ...REAL, THESEUS_SANDBOX_ACCOUNT: "1234" }, 'not "1234"'],
  [{ ...REAL, AWS_REGION: "" }, "nothing says which Region"],
])("with %j it does not start", (environment, sentence) => {
  expect(() => askedBy(environment)).toThrow(sentence);
});

test("with all of it said it does, there and nowhere else", () => {
  const where = { place: { aws: "real" }, region: "eu-central-1" };
  expect(askedBy(REAL)).toEqual({ kind: "real", account: ACCOUNT, where });
  expect(askedBy({ THESEUS_SANDBOX: "emulator" })).toEqual({ kind: "emulator" });
});

test("nor does it in another account than that, or in one that was not prepared", () => {
  const toolkit = (account: string) => `arn:aws:cloudformation:eu-central-1:${account}:stack/CDKToolkit/1`;
  const region = { region: "eu-central-1" };
  expect(() => assertAccount(ACCOUNT, region, toolkit(ACCOUNT))).not.toThrow();
  expect(() => assertAccount(ACCOUNT, region, toolkit("210987654321"))).toThrow(
    `these credentials are for the account 210987654321, not ${ACCOUNT}: nothing was done`,
  );
  expect(() => assertAccount(ACCOUNT, region, undefined)).toThrow("npx cdk bootstrap");
});
