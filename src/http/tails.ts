import { CLOSE_CODES, type ClosingCode, lastWord } from '../tails/closing.ts';
import { TAIL_LIFE_MS, TAIL_PAGE_EVENTS_MAX } from '../tails/limits.ts';
import type { Page } from '../tails/ports.ts';
import { startOf, tail } from '../tails/tail.ts';
import { Turns } from '../tails/turns.ts';
import type { LogEvent, ReadRequest, ReadResult } from '../topics/protocol.ts';
import type { Context } from './context.ts';
import { invalid, Problem } from './problem.ts';
import { filteredTogether } from './read-filter.ts';
import { tailSocket } from './tail-socket.ts';
import { DONE, tailStream } from './tail-stream.ts';
import { watchCaller } from './watch.ts';

export interface AskedTail {
  topic: string;
  asked: ReadRequest;
  /** The start that was asked for is behind the last event that the reader has seen. */
  resumes: boolean;
  /** CEL; null: everything. */
  filter: string | null;
  /** Events at most; null: as many as come. */
  limit: number | null;
  /** One event a text frame, instead of server-sent events. */
  overSocket: boolean;
}

/** What tells an EventSource not to come back (WHATWG HTML, 9.2.3): it has seen all there is. */
const NO_MORE = { status: 204, body: null } as const;

/**
 * A range and then what comes, as a stream; where a reader that comes back has seen all of its range 204, or over a WebSocket
 * the last word alone.
 *
 * @param pageOf the page of a result, or the Problem of it
 * @throws Problem
 */
export async function tailResponse(
  { topic, asked, resumes, filter, limit, overSocket }: AskedTail,
  pageOf: (result: ReadResult) => Page,
  context: Context,
): Promise<Response | typeof NO_MORE> {
  const { hub, requestId, request } = context;
  const after = resumedAfter(request, asked);
  if (after === DONE) return NO_MORE;
  const { until, match } = asked;
  const from = after === null ? asked.from : { kind: 'sequence' as const, sequence: after + 1 };
  const result = await hub.topic(topic).read({ ...asked, from, limit: TAIL_PAGE_EVENTS_MAX });
  if (result.outcome === 'invalid-range' && (resumes || after !== null)) {
    if (!overSocket) return NO_MORE;
    const seen = from.kind === 'sequence' ? from.sequence - 1 : 0;
    return hub.upgrade((socket) => socket.close(CLOSE_CODES.done, lastWord('done', seen)));
  }
  const first = pageOf(result);

  const stop = new AbortController();
  const ports = {
    topic,
    read: (part: ReadRequest) => hub.topic(topic).read(part),
    feed: () => hub.feed(topic),
    filter: (events: readonly LogEvent[]) => filteredTogether(events, filter),
    now: () => hub.now(),
    log: hub.log,
  };
  const failed = (error: unknown) => hub.log('error', 'A tail failed.', { requestId, topic, error });
  // Of one who comes back too: it may have been told how far the topic is before the time came.
  const since = asked.from.kind === 'time' ? asked.from.time : null;
  const start = startOf(first, from);
  const turns = new Turns(tail({ start, since, until, match, limit }, first, ports, stop.signal), stop, failed);
  const startedAt = hub.now();
  const life = setTimeout(() => turns.end('reconnect'), TAIL_LIFE_MS);
  const unwatch = watchCaller(context, (code) => turns.end(code));
  let isOver = false;
  const over = (code: ClosingCode) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(life);
    unwatch();
    hub.log('info', 'A tail has ended.', { requestId, topic, code, ms: hub.now() - startedAt });
  };
  if (!overSocket) return tailStream(turns, start, from.kind === 'latest', ports.now, over);
  return hub.upgrade((socket) => {
    tailSocket(socket, turns, start, ports.now, stop.signal, over).catch(failed);
  });
}

/**
 * The sequence that the reader has seen last, if it comes back; null: it begins.
 *
 * @throws Problem `invalid-request`, `invalid-range`
 */
function resumedAfter({ headers }: Request, { order, waitMs }: ReadRequest): number | typeof DONE | null {
  if (order === 'desc') {
    const errors = [{ path: 'order', message: 'must be asc for what is live' }];
    throw new Problem('invalid-range', 'What is live goes on in the order in which it comes.', { errors });
  }
  if (waitMs > 0) throw invalid([{ path: 'wait', message: 'must be left out: what is live waits by itself' }]);
  const id = headers.get('last-event-id')?.trim() ?? '';
  if (id === '') return null;
  if (id === DONE) return DONE;
  if (!/^\d{1,16}$/.test(id)) {
    throw invalid([{ path: 'last-event-id', message: `must be the id of an event of this stream: a sequence` }]);
  }
  return Number(id);
}
