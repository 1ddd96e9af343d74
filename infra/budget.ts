/** A budget guard: it says that money goes, before the month's bill does. It stops nothing. */
import { CfnBudget } from "aws-cdk-lib/aws-budgets";
import { Construct } from "constructs";
import { type Deployment, nameOf } from "./deployment.ts";

export interface BudgetOptions {
  /** US dollars a month, of the whole account, since tables made at run time carry tags that billing knows only when told. */
  readonly monthlyUsd: number;
  /** Who is told, by mail, when 80 % are spent, and when the month is going to cost more. */
  readonly email: string;
}

const SPENT_PERCENT = 80;

export class Budget extends Construct {
  constructor(scope: Construct, id: string, deployment: Deployment, { monthlyUsd, email }: BudgetOptions) {
    super(scope, id);
    const tell = (notificationType: "ACTUAL" | "FORECASTED", threshold: number) => ({
      notification: {
        comparisonOperator: "GREATER_THAN",
        notificationType,
        threshold,
        thresholdType: "PERCENTAGE",
      },
      subscribers: [{ subscriptionType: "EMAIL", address: email }],
    });
    new CfnBudget(this, "Budget", {
      budget: {
        budgetName: nameOf.cluster(deployment),
        budgetType: "COST",
        timeUnit: "MONTHLY",
        budgetLimit: { amount: monthlyUsd, unit: "USD" },
      },
      notificationsWithSubscribers: [tell("ACTUAL", SPENT_PERCENT), tell("FORECASTED", 100)],
    });
  }
}
