import { type Api, Refused, Unreachable } from '../api.ts';
import type { Findings } from '../contract.ts';

const NOT_FOUND = 404;

/** Of a run that nobody looked at while it was recorded, and of a server that knows no diagnosis. */
const NOT_DIAGNOSED: Findings = { findings: [], recorded: false, revision: 0 };

/** The diagnosis of a run, which has none where the server has no such route. */
export async function diagnosisOf(api: Pick<Api, 'findings'>, run: string): Promise<Findings> {
  try {
    return await api.findings(run);
  } catch (error) {
    if ((error instanceof Unreachable || error instanceof Refused) && error.status === NOT_FOUND)
      return NOT_DIAGNOSED;
    throw error;
  }
}
