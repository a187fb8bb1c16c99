/** Every refusal the hub gives is one of these codes: stable, listed in the docs, each with its status and title. */
export const PROBLEMS = {
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'invalid-event': { status: 400, title: 'An event is not a valid CloudEvent' },
  'invalid-range': { status: 400, title: 'The range has two starts, or ends before it begins' },
  'incomplete-body': { status: 400, title: 'The body was cut off' },
  'filter-required': { status: 400, title: 'A filter is required' },
  'not-supported-yet': { status: 400, title: 'Not supported by this version yet' },
  'position-ahead': { status: 400, title: 'The position lies beyond the end of the topic' },
  'url-not-allowed': { status: 400, title: 'Webhooks may not be sent to this URL' },
  unauthorized: { status: 401, title: 'A valid key is needed' },
  forbidden: { status: 403, title: 'The key may not do this' },
  'reserved-topic': { status: 403, title: 'Topics under millrace. are reserved for the hub' },
  'not-found': { status: 404, title: 'Nothing is here' },
  'unknown-topic': { status: 404, title: 'No such topic' },
  'unknown-event': { status: 404, title: 'No such event' },
  'unknown-subscription': { status: 404, title: 'No such subscription' },
  'unknown-replay': { status: 404, title: 'No such replay' },
  'unknown-dead-letter': { status: 404, title: 'No such dead letter' },
  'unknown-handshake': { status: 404, title: 'No such handshake' },
  'unknown-key': { status: 404, title: 'No such key' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'event-id-conflict': { status: 409, title: 'The same source and id were used for another event' },
  'key-exists': { status: 409, title: 'A key of this name exists' },
  'request-in-progress': { status: 409, title: 'The first request with this Idempotency-Key is still running' },
  'subscription-exists': { status: 409, title: 'Another subscription has this name' },
  'topic-has-subscriptions': { status: 409, title: 'Subscriptions name this topic' },
  'topic-not-subscribed': { status: 409, title: 'The subscription does not have this topic' },
  'wrong-delivery-kind': { status: 409, title: 'The subscription delivers in another way' },
  'no-webhook': { status: 409, title: 'The subscription delivers in another way than by webhooks' },
  'not-redrivable': { status: 409, title: 'The dead letter is settled already' },
  'replay-ended': { status: 409, title: 'The replay has ended' },
  'sequence-expired': { status: 410, title: 'The sequence is older than what is retained' },
  'precondition-failed': { status: 412, title: 'The resource has changed since it was read' },
  'wrong-expected-sequence': { status: 412, title: 'The last sequence is not the expected one' },
  'payload-too-large': { status: 413, title: 'The request is over a limit' },
  'unsupported-media-type': { status: 415, title: 'The content type is not one the hub reads' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used with another body' },
  'quota-exceeded': { status: 429, title: 'The key has published as much as it may for now' },
  'internal-error': { status: 500, title: 'Something went wrong in the hub' },
  'config-incomplete': { status: 503, title: 'Not all of the configuration could be applied' },
  'not-configured': { status: 503, title: 'The hub is not configured' },
  'secret-unreadable': { status: 503, title: 'A stored secret cannot be opened' },
  'not-migrated': { status: 503, title: 'The database is not migrated' },
  unavailable: { status: 503, title: 'A part of the hub cannot be reached at the moment' },
  'topic-full': { status: 507, title: 'The topic is full' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** What a route may refuse with: a code, with its status where that is not the code's usual one. */
export type DeclaredProblem = ProblemCode | { code: ProblemCode; status: number };

/** One thing that is wrong with the input: `path` is a field (`delivery.url`, `[3].type`), parameter or header; '' is the body. */
export interface InputError {
  path: string;
  message: string;
}

interface ProblemOptions {
  /** Where a code is used with another status than its usual one. */
  status?: number;
  errors?: InputError[];
  /** Further members of the problem document. */
  extra?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** A refusal on its way out. Thrown inside http only; rendered in one place. `detail` says what to change. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly errors: InputError[];
  readonly extra: Record<string, unknown>;
  readonly headers: Record<string, string>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.name = 'Problem';
    this.code = code;
    this.status = options.status ?? PROBLEMS[code].status;
    this.errors = options.errors ?? [];
    this.extra = options.extra ?? {};
    this.headers = options.headers ?? {};
  }
}

/** `400` naming each thing that is wrong. */
export function invalid(errors: InputError[], code: ProblemCode = 'invalid-request'): Problem {
  const detail = errors.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
  return new Problem(code, detail, { errors });
}

/** `400` for what the interface promises and this version does not have yet. */
export function notSupportedYet(path: string, what = `${path} is not supported by this version yet; leave it out.`) {
  return new Problem('not-supported-yet', what, { errors: [{ path, message: 'not supported by this version yet' }] });
}

/** Seconds a client should wait before it tries again when a part of the hub is away. */
const RETRY_AFTER_SECONDS = 1;

export function unavailable(detail: string): Problem {
  return new Problem('unavailable', detail, { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });
}

/** What an error thrown anywhere below http means to the caller; null: a fault of the hub itself. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  if (!(error instanceof Error)) return null;
  if (/no such (table|column)/.test(error.message)) {
    return new Problem(
      'not-migrated',
      'Apply the migrations: npx wrangler d1 migrations apply millrace (--local or --remote).',
    );
  }
  if (/^D1_|Failed to parse body as JSON, got/.test(error.message)) {
    return unavailable('The database cannot be reached at the moment. Try again.');
  }
  if (isPassing(error) || SILENCE.test(error.message))
    return unavailable('A part of the hub is restarting or overloaded. Try again.');
  return null;
}

/** How topics/timeout.ts says that nothing came: an object asked another one. */
const SILENCE = /had no answer for \d+ ms/;

/** Durable Object errors say on themselves whether another try can help. */
function isPassing(error: Error): boolean {
  const flagged = ['retryable', 'overloaded', 'durableObjectReset'].some(
    (flag) => Object.getOwnPropertyDescriptor(error, flag)?.value === true,
  );
  return (
    flagged || /Network connection lost|Durable Object (storage|reset)|to reset Durable Object/.test(error.message)
  );
}

/** The problem document (RFC 9457). */
export function renderProblem(problem: Problem, instance: string, requestId: string): Response {
  const body = {
    type: `/docs#${problem.code}`,
    title: PROBLEMS[problem.code].title,
    status: problem.status,
    detail: problem.message,
    instance,
    code: problem.code,
    requestId,
    ...(problem.errors.length > 0 && { errors: problem.errors }),
    ...problem.extra,
  };
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...problem.headers },
  });
}
