/**
 * What AWS asks, in US dollars, on demand and before taxes, free tiers and discounts. AWS changes prices and this file
 * does not notice: read the price pages before money hangs on it.
 */
export const PRICES = {
  region: "us-east-1",
  /** When they were written down, from memory of the price pages below: each is to be checked there. */
  written: "2026-11-24",
  pages: [
    "https://aws.amazon.com/dynamodb/pricing/on-demand/",
    "https://aws.amazon.com/fargate/pricing/",
    "https://aws.amazon.com/lambda/pricing/",
    "https://aws.amazon.com/sqs/pricing/",
    "https://aws.amazon.com/eventbridge/pricing/",
    "https://aws.amazon.com/cloudwatch/pricing/",
    "https://aws.amazon.com/vpc/pricing/",
    "https://aws.amazon.com/ec2/pricing/on-demand/",
  ],
  dynamodb: {
    writeUnitsMillion: 0.625,
    readUnitsMillion: 0.125,
    /** Of the standard table class. */
    storageGbMonth: 0.25,
    pointInTimeRecoveryGbMonth: 0.2,
  },
  /** Linux on arm64. */
  fargate: { vcpuHour: 0.03238, gbHour: 0.00356 },
  /** On arm64. A Function URL costs nothing beside its function. */
  lambda: { requestsMillion: 0.2, gbSecond: 0.0000133334 },
  sqsRequestsMillion: 0.4,
  schedulerInvocationsMillion: 1,
  cloudwatch: { alarmMonth: 0.1, metricMonth: 0.3, dashboardMonth: 3, logGb: 0.5 },
  publicIpv4Hour: 0.005,
  /** Both directions together; and from one Region to another. */
  transfer: { betweenZonesGb: 0.02, betweenRegionsGb: 0.02 },
} as const;
