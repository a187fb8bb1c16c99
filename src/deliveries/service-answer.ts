import { handlingResult } from '../events/handing.ts';
import type { ClaimedEvent, DeliveryOutcome } from '../subscriptions/protocol-claims.ts';
import { wording } from '../wording.ts';
import { ERROR_LENGTH_MAX } from './answer.ts';

/** What the answer of a consumer Worker means for each event that it was called with. */

type Failed = Extract<DeliveryOutcome, { kind: 'failed' }>;
type Result = ReturnType<typeof handlingResult.parse>;

/** Of a call: the same became of all its events, or of each what the consumer says; a text: what it says is nothing. */
export type Answered =
  | ({ kind: 'failed' } & Pick<Failed, 'outcome' | 'status' | 'error' | 'response' | 'retryAfterMs'>)
  | { kind: 'results'; status: number | null; results: (Result | { wrong: string })[] };

const TAKEN: Result = { result: 'ack' };

/** What most results are. The schema says the same of them, at many times the cost. */
function isTaken(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'result' in result && result.result === TAKEN.result;
}

/** What a consumer answered for `count` events. Nothing means that it has taken all. `status`: of an answer to a request. */
export function readResults(value: unknown, count: number, status: number | null): Answered {
  if (value === undefined) return { kind: 'results', status, results: Array(count).fill(TAKEN) };
  if (!Array.isArray(value) || value.length !== count) {
    const is = Array.isArray(value) ? `${value.length} results` : typeName(value);
    return failedAll(
      'failed',
      `Answered ${is} to ${count} events: it has to be a result for each, or nothing.`,
      status,
    );
  }
  const results = value.map((one: unknown) => {
    if (isTaken(one)) return TAKEN;
    const parsed = handlingResult.safeParse(one, { error: wording });
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = issue === undefined ? '' : `: ${issue.path.join('.') || 'it'} ${issue.message}`;
    return { wrong: `Its result is none${where}`.slice(0, ERROR_LENGTH_MAX) };
  });
  return { kind: 'results', status, results };
}

export function failedAll(outcome: Failed['outcome'], error: string, status: number | null = null): Answered {
  return { kind: 'failed', outcome, status, error: error.slice(0, ERROR_LENGTH_MAX), response: '', retryAfterMs: null };
}

function typeName(value: unknown): string {
  return value === null ? 'null' : `something else (${typeof value})`;
}

/** What became of each event of a call. `timed`: when it began, and how long it took, milliseconds. */
export function outcomesOf(
  events: readonly ClaimedEvent[],
  answered: Answered,
  timed: { at: number; latencyMs: number },
): DeliveryOutcome[] {
  return events.map(({ topic, sequence }, index) => {
    const named = { topic, sequence, ...timed, request: null };
    if (answered.kind === 'failed') return { ...named, ...answered };
    return { ...named, ...meaningOf(answered.results[index] ?? { wrong: 'It has no result.' }, answered.status) };
  });
}

function meaningOf(result: Result | { wrong: string }, status: number | null) {
  const failed = (error: string, retryAfterMs: number | null) =>
    ({ kind: 'failed', outcome: 'failed', status, response: '', error, retryAfterMs }) as const;
  if ('wrong' in result) return failed(result.wrong, null);
  switch (result.result) {
    case 'ack':
      return { kind: 'delivered', status, response: '' } as const;
    case 'retry':
      return failed(result.reason ?? 'The consumer wants it again.', result.delay ?? null);
    case 'reject':
      return { ...failed(result.reason ?? 'The consumer does not want it.', null), dead: 'rejected' } as const;
  }
}
