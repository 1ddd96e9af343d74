/** Which AWS the command line is to speak to, and in which Region. */
import { type AwsPlace, awsPlace } from "../../shared/aws/clients.ts";
import { Invalid } from "../../shared/errors.ts";

export interface Where {
  readonly place: AwsPlace;
  readonly region: string;
}

/** Where emulators begin, and where the emulator of `theseus aws local` is. */
export const EMULATOR_REGION = "us-east-1";

/** `region`: when it was said. @throws Invalid when the environment says nothing, or says two things. */
export function whereIs(region: string | undefined, environment = process.env): Where {
  const place = placeIn(environment);
  const said = region ?? (environment.AWS_REGION || environment.AWS_DEFAULT_REGION);
  if (said !== undefined && said !== "") return { place, region: said };
  if ("endpoint" in place) return { place, region: EMULATOR_REGION };
  throw new Invalid("invalid_request", "nothing says which Region: set AWS_REGION, or say --region");
}

function placeIn(environment: NodeJS.ProcessEnv): AwsPlace {
  try {
    return awsPlace("CLOUDFORMATION", environment);
  } catch (cause) {
    throw new Invalid("invalid_request", (cause as Error).message, { cause });
  }
}
