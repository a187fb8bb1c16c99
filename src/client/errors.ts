import type { Problem, ProblemCode } from './wire.ts';

/** A code of the hub (`/docs` lists them), or what kept it from answering with one. */
export type ErrorCode =
  | ProblemCode
  /** No answer: refused, cut off, or a name that can't be looked up. What was asked may have been done all the same. */
  | 'network'
  /** No answer in time. What was asked may have been done all the same. */
  | 'timeout'
  /** An answer that isn't the hub's: of a proxy before it, or of something else at this address. */
  | 'unexpected-answer';

interface ErrorFacts {
  /** The HTTP status; null without an answer. */
  status: number | null;
  /** The whole problem document (RFC 9457); null without one. */
  problem?: Problem | null;
  requestId?: string | null;
  /** Milliseconds that the hub asks to wait before another try. */
  retryAfterMs?: number | null;
  cause?: unknown;
}

/** Whatever a call to the hub can fail with. `code` is what programs go by, `message` says what to change. */
export class MillraceError extends Error {
  override readonly name: string = 'MillraceError';
  readonly code: ErrorCode;
  readonly status: number | null;
  readonly detail: string;
  /** What is wrong with the input: `path` is a field (`delivery.url`), parameter or header. */
  readonly errors: readonly { path: string; message: string }[];
  /** Names the request in the hub's log. */
  readonly requestId: string | null;
  /** The document as it came, with the members that some codes add: `lastSequence`, `firstSequence`. */
  readonly problem: Problem | null;
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, detail: string, { status, problem, requestId, retryAfterMs, cause }: ErrorFacts) {
    super(`${code}${status === null ? '' : ` (${status})`}: ${detail}`, { cause });
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.errors = problem?.errors ?? [];
    this.requestId = requestId ?? null;
    this.problem = problem ?? null;
    this.retryAfterMs = retryAfterMs ?? null;
  }
}

/** The error of an answer that is no 2xx. Reads its body. */
export async function errorOf(response: Response, now: number): Promise<MillraceError> {
  const text = await response.text().catch(() => '');
  const problem = problemIn(text);
  const facts = {
    status: response.status,
    requestId: response.headers.get('x-request-id'),
    retryAfterMs: retryAfterMs(response.headers.get('retry-after'), now),
  };
  if (problem !== null) return new MillraceError(problem.code, problem.detail, { ...facts, problem });
  const detail = `${response.url} answered ${response.status} without a problem document: ${text.slice(0, 200)}`;
  return new MillraceError('unexpected-answer', detail, facts);
}

function problemIn(text: string): Problem | null {
  try {
    const problem: Problem = JSON.parse(text);
    return typeof problem?.code === 'string' && typeof problem.detail === 'string' ? problem : null;
  } catch {
    return null;
  }
}

/** RFC 9110, 10.2.3: seconds or a date. Null without one that can be read. */
function retryAfterMs(value: string | null, now: number): number | null {
  if (value === null) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
