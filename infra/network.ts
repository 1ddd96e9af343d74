/**
 * The network of the leaders and the gateway: the user's, or one of its own without a NAT gateway, which would cost
 * more than the leaders. Leaders then have public addresses for their way out, and nobody from outside has a way in.
 *
 * Rules stand within the groups: two groups, of which one only says who may call, need none that names its own group.
 */
import { Tags } from "aws-cdk-lib";
import {
  CfnSecurityGroup,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  type ISecurityGroup,
  type IVpc,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import { acknowledge, NO_FLOW_LOG } from "./acknowledged.ts";
import { type Deployment, nameOf } from "./deployment.ts";

/** Where a leader listens. */
export const LEADER_PORT = 4600;
const CIDR = "10.46.0.0/16";

export class Network extends Construct {
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
  /** Whether the subnets' only way out is a public address. */
  readonly isPublic: boolean;
  /** Who carries this may call leaders: leaders themselves, and the gateway. */
  readonly callers: ISecurityGroup;
  readonly leaders: ISecurityGroup;

  constructor(scope: Construct, id: string, deployment: Deployment, given?: IVpc) {
    super(scope, id);
    this.vpc = given ?? this.#made(nameOf.cluster(deployment));
    this.isPublic = this.vpc.privateSubnets.length === 0;
    this.subnets = { subnetType: this.isPublic ? SubnetType.PUBLIC : SubnetType.PRIVATE_WITH_EGRESS };
    const everywhere = given === undefined ? CIDR : this.vpc.vpcCidrBlock;
    const callers = new CfnSecurityGroup(this, "Callers", {
      groupDescription: "Theseus: who may call leaders",
      vpcId: this.vpc.vpcId,
      securityGroupEgress: [
        rule("leaders", LEADER_PORT, { cidrIp: everywhere }),
        rule("AWS", 443, { cidrIp: "0.0.0.0/0" }),
      ],
    });
    const leaders = new CfnSecurityGroup(this, "Leaders", {
      groupDescription: "Theseus: leaders",
      vpcId: this.vpc.vpcId,
      securityGroupIngress: [
        rule("leaders and the gateway", LEADER_PORT, { sourceSecurityGroupId: callers.attrGroupId }),
      ],
      // One that has no rules would be given one that allows everything.
      securityGroupEgress: [rule("AWS", 443, { cidrIp: "0.0.0.0/0" })],
    });
    this.callers = imported(this, "CallersGroup", callers);
    this.leaders = imported(this, "LeadersGroup", leaders);
  }

  #made(name: string): IVpc {
    const vpc = new Vpc(this, "Vpc", {
      vpcName: name,
      ipAddresses: IpAddresses.cidr(CIDR),
      natGateways: 0,
      maxAzs: 3,
      subnetConfiguration: [{ name: "leaders", subnetType: SubnetType.PUBLIC, cidrMask: 20 }],
      gatewayEndpoints: {
        DynamoDB: { service: GatewayVpcEndpointAwsService.DYNAMODB },
        S3: { service: GatewayVpcEndpointAwsService.S3 },
      },
      // Nothing uses the default group, and emptying it takes a function with rights over groups.
      restrictDefaultSecurityGroup: false,
    });
    // Otherwise they would be named after this construct's place.
    for (const [index, subnet] of vpc.publicSubnets.entries())
      Tags.of(subnet).add("Name", `${name}-${index + 1}`);
    acknowledge(vpc, [NO_FLOW_LOG]);
    // Its optional properties may also be undefined, which this compiler tells apart.
    return vpc as IVpc;
  }
}

function rule(
  description: string,
  port: number,
  peer: { cidrIp: string } | { sourceSecurityGroupId: string },
) {
  return { ipProtocol: "tcp", fromPort: port, toPort: port, description, ...peer };
}

/** Closed: rules are added here, and not by whoever uses it. */
function imported(scope: Construct, id: string, group: CfnSecurityGroup): ISecurityGroup {
  return SecurityGroup.fromSecurityGroupId(scope, id, group.attrGroupId, { mutable: false });
}
