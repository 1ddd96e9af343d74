/** Which AWS a client speaks to: an emulator on this machine, unless real AWS is asked for by name. */
import { describe, expect, test } from "vitest";
import { type AwsPlace, awsClient, awsPlace, type ClientSettings } from "../shared/aws/clients.ts";
import { dynamodbClient } from "../shared/storage/dynamodb.ts";
import { openStore } from "../shared/storage/open.ts";

/** Shows what the SDK's class would be given. */
class Shown {
  readonly settings: ClientSettings;
  constructor(settings: ClientSettings) {
    this.settings = settings;
  }
}
const settingsFor = (place: AwsPlace) => awsClient(Shown, "eu-central-1", place).settings;

describe("a client", () => {
  test.each(["http://127.0.0.1:8000", "https://127.8.9.1", "http://localhost:4566/", "http://[::1]:4566"])(
    "may speak to %s, with credentials that are nobody's",
    async (endpoint) => {
      expect(settingsFor({ endpoint })).toMatchObject({
        endpoint,
        region: "eu-central-1",
        credentials: { accessKeyId: "test", secretAccessKey: "test" },
      });
      const client = dynamodbClient("eu-central-1", { endpoint });
      expect((await client.config.endpoint?.())?.hostname).toBe(new URL(endpoint).hostname);
      client.destroy();
    },
  );

  test.each([
    "https://dynamodb.eu-central-1.amazonaws.com",
    "https://dynamodb.eu-central-1.amazonaws.com.cn",
    "http://127.0.0.1@dynamodb.eu-central-1.amazonaws.com",
    "http://localhost.example.org:4566",
    "http://127.0.0.1.example.org",
    "http://10.0.0.1:8000",
    "http://0.0.0.0:8000",
    "http://[::ffff:8.8.8.8]:8000",
    "ftp://127.0.0.1",
    "127.0.0.1:8000",
    "localhost",
    "",
  ])('refuses the endpoint "%s"', (endpoint) => {
    expect(() => settingsFor({ endpoint })).toThrow(RangeError);
  });

  test.each([
    {},
    { endpoint: undefined },
    { aws: "emulated" },
    { aws: "real", endpoint: "https://example.org" },
  ])("refuses %j, which names neither an emulator nor real AWS alone", (place) => {
    expect(() => settingsFor(place as unknown as AwsPlace)).toThrow(RangeError);
  });

  test("speaks to real AWS when that is asked for by name", () => {
    const settings = settingsFor({ aws: "real" });
    expect(settings).not.toHaveProperty("endpoint");
    expect(settings).not.toHaveProperty("credentials");
  });

  test("repeats nothing by itself, gives up in time, and has sockets for a leader change", () => {
    const { maxAttempts, requestHandler } = settingsFor({ endpoint: "http://127.0.0.1:8000" });
    expect(maxAttempts).toBe(1);
    expect(requestHandler).toMatchObject({ throwOnRequestTimeout: true });
    expect(requestHandler.httpsAgent.maxSockets).toBeGreaterThanOrEqual(33);
  });
});

describe("the environment", () => {
  const emulator = "http://127.0.0.1:4566";
  test("says where AWS is", () => {
    expect(awsPlace("DYNAMODB", { AWS_ENDPOINT_URL: emulator })).toEqual({ endpoint: emulator });
    expect(
      awsPlace("DYNAMODB", {
        AWS_ENDPOINT_URL: emulator,
        AWS_ENDPOINT_URL_DYNAMODB: "http://localhost:8000",
      }),
    ).toEqual({ endpoint: "http://localhost:8000" });
    expect(awsPlace("DYNAMODB", { THESEUS_AWS: "real" })).toEqual({ aws: "real" });
  });

  test.each([{}, { AWS_REGION: "us-east-1" }, { THESEUS_AWS: "yes" }, { AWS_ENDPOINT_URL: "" }])(
    "does not, with %j",
    (environment) => {
      expect(() => awsPlace("DYNAMODB", environment)).toThrow("nothing says where AWS is");
    },
  );

  test("contradicts itself with both", () => {
    const both = { AWS_ENDPOINT_URL: emulator, THESEUS_AWS: "real" };
    expect(() => awsPlace("DYNAMODB", both)).toThrow("unset one of them");
  });
});

describe("an acceptor of kind dynamodb", () => {
  const server = { id: "a1", kind: "dynamodb", incarnation: "x" } as Parameters<typeof openStore>[0];
  test.each(["theseus-table", "/theseus-table", "eu-central-1/", "eu-central-1/table/more", ""])(
    'is not at "%s"',
    (location) => {
      expect(() => openStore({ ...server, location })).toThrow("not of the form region/table");
    },
  );

  test("is not opened while nothing says where AWS is", () => {
    expect(() => openStore({ ...server, location: "eu-central-1/table" })).toThrow(
      "nothing says where AWS is",
    );
  });
});
