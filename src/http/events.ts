import { z } from 'zod';
import { TAIL_CLOSED } from '../events/attribute-rules.ts';
import { durationSchema } from '../events/durations.ts';
import { STRUCTURED_CONTENT_TYPE } from '../events/encode.ts';
import { type Position, parsePosition } from '../events/position.ts';
import type { EventResult, ReadRequest, ReadResult } from '../topics/protocol.ts';
import { noBody } from './body.ts';
import { EVENT_STREAM } from './event-stream.ts';
import { celField } from './expression-fields.ts';
import {
  countField,
  instantInput,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  nameField,
  numberIn,
  tokenField,
} from './fields.ts';
import { acceptedTypes, isWebSocket } from './headers.ts';
import { invalid, Problem } from './problem.ts';
import { filteredPage, type Page } from './read-filter.ts';
import { type Route, route } from './route.ts';
import { sequenceInPath } from './sequence.ts';
import { tailResponse } from './tails.ts';
import { unknownTopic } from './topics.ts';
import { requireStill } from './watch.ts';

/** Reading: a page as JSON, a range as a stream, one event. Events go out as the log has them, unparsed. */

const LINES = 'application/x-ndjson';
const WEB_SOCKET = 'websocket';
const WAIT_MAX_MS = 60_000;
/** Values of one repeated parameter. */
const VALUES_MAX = 100;
const VALUE_MAX_CHARACTERS = 2048;

const eventView = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string(),
    source: z.string(),
    type: z.string(),
    time: z.string(),
    topic: z.string(),
    sequence: z.string().meta({ description: 'Decimal, zero-padded to 16 digits.' }),
    recordedtime: z.string().meta({ description: 'When the log took it.' }),
  })
  .meta({ id: 'Event', description: 'A CloudEvent with the hub’s own extension attributes.' });

const pageView = z.object({
  events: z.array(eventView),
  next: z
    .int()
    .nullable()
    .meta({ description: 'Pass it as `after` (with `order=desc`: as `until`); null: the range is done.' }),
  lastSequence: z.int(),
});

const positionField = z
  .string()
  .transform((text, context): Position => {
    const position = parsePosition(text);
    if (position !== null) return position;
    context.addIssue('must be earliest, latest, a sequence or an RFC 3339 time');
    return z.NEVER;
  })
  .meta({ examples: ['earliest', '42', '2026-11-23T12:00:00Z'] });

const afterField = numberIn(/^0{0,15}[0-9]{1,15}$/, 'must be a sequence', { minimum: 0 }).transform(
  (sequence): Position => ({ kind: 'sequence', sequence: sequence + 1 }),
);

const valuesField = z.array(z.string().min(1).max(VALUE_MAX_CHARACTERS)).max(VALUES_MAX).default([]);

export const eventsRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/topics/{topic}/events',
    tag: 'Events',
    summary: 'Read events',
    description:
      `As application/json a page of at most ${LIST_LIMIT_MAX} events and 4 MiB; as ${LINES} the whole range as a stream, ` +
      `one event a line; as ${EVENT_STREAM} the range and then what comes, with the sequence as \`id:\`, the type as \`event:\` ` +
      'and the event as `data:`; a WebSocket at this URL the same, one event a text frame. What is live ends with a last word: ' +
      `the event \`${TAIL_CLOSED}\`, or the reason of the close, \`{ "code", "after" }\`: come back with that \`after\`.`,
    params: { topic: nameField },
    queryToken: true,
    query: {
      token: tokenField,
      from: positionField.optional().meta({ description: 'A position; `earliest` by default.' }),
      after: afterField.optional().meta({ description: 'A sequence: start with the one after it.' }),
      since: instantInput.transform((time): Position => ({ kind: 'time', time })).optional(),
      until: positionField.optional().meta({ description: 'The end of the range, inclusive.' }),
      limit: countField.optional().meta({
        description:
          'How many at most; a stream, which has no limit without it, counts afresh whenever its reader comes back.',
      }),
      type: valuesField.meta({ description: 'Exact; may be repeated.' }),
      source: valuesField.meta({ description: 'Exact; may be repeated.' }),
      subject: valuesField.meta({ description: 'Exact; may be repeated.' }),
      filter: celField.optional().meta({
        description: 'CEL; an event that it fails on is left out. A filtered page may be empty with `next` set.',
      }),
      order: z.enum(['asc', 'desc']).default('asc'),
      wait: durationSchema(0, WAIT_MAX_MS)
        .optional()
        .meta({ description: 'How long to wait for a first event, at most 60s.' }),
    },
    body: noBody,
    headers: {
      'last-event-id':
        'Of a stream that was cut off: it goes on behind this sequence, wherever the query begins; 204 if that was all.',
    },
    scopes: 'read:{topic}',
    needs: ({ topic }) => [{ scope: 'read', on: topic }],
    responses: { 200: pageView, 101: null, 204: null },
    streams: { [LINES]: eventView, [EVENT_STREAM]: eventView },
    problems: ['unknown-topic', 'invalid-range', 'sequence-expired'],
    handler: async ({ params: { topic }, query }, context) => {
      const { hub, request } = context;
      const starts = [query.from, query.after, query.since].filter((start) => start !== undefined);
      if (starts.length > 1) throw twoStarts(query);
      const type = preferred(request);
      const streams = type === LINES;
      const asked: ReadRequest = {
        v: 1,
        from: starts[0] ?? { kind: 'earliest' },
        until: query.until ?? null,
        order: query.order,
        limit: query.limit ?? (streams ? LIST_LIMIT_MAX : LIST_LIMIT_DEFAULT),
        match: { types: [], exactTypes: query.type, sources: query.source, subjects: query.subject },
        waitMs: query.wait ?? 0,
      };
      const log = hub.topic(topic);
      const filter = query.filter ?? null;
      if (type === EVENT_STREAM || type === WEB_SOCKET) {
        const [limit, resumes, overSocket] = [query.limit ?? null, query.after !== undefined, type === WEB_SOCKET];
        const tail = { topic, asked, resumes, filter, limit, overSocket };
        return tailResponse(tail, (result) => pageOrRefuse(topic, result), context);
      }
      if (asked.order === 'desc' && asked.waitMs > 0) {
        throw invalid([{ path: 'wait', message: 'must be left out with order=desc: what comes is behind its start' }]);
      }
      const read = async (part: ReadRequest): Promise<Page> => {
        // A filter is to find as many as are asked for, wherever they lie.
        const limit = filter === null ? part.limit : LIST_LIMIT_MAX;
        const page = pageOrRefuse(topic, await log.read({ ...part, limit }));
        return filteredPage(page, filter, part.order, part.limit);
      };
      const page = filter === null ? await read(asked) : await readUntilFound(read, asked, () => hub.now());
      if (asked.waitMs > 0) await requireStill(context);
      if (!streams) return pageResponse(page);
      const readOn = async (part: ReadRequest) => {
        await requireStill(context);
        return read(part);
      };
      return linesResponse(linesOf(readOn, asked, page, query.limit ?? Number.POSITIVE_INFINITY));
    },
  }),

  route({
    method: 'GET',
    path: '/v1/topics/{topic}/events/{sequence}',
    tag: 'Events',
    summary: 'One event',
    params: { topic: nameField, sequence: sequenceInPath },
    query: {},
    body: noBody,
    scopes: 'read:{topic}',
    needs: ({ topic }) => [{ scope: 'read', on: topic }],
    responses: { 200: eventView },
    produces: [STRUCTURED_CONTENT_TYPE],
    problems: ['unknown-topic', 'unknown-event', 'sequence-expired'],
    handler: async ({ params: { topic, sequence } }, { hub }) => {
      const json = foundOrRefuse(await hub.topic(topic).event(sequence), topic, sequence);
      return new Response(json, { headers: { 'content-type': STRUCTURED_CONTENT_TYPE } });
    },
  }),
];

/** Reads of one call that waits for an event which a filter lets through; one that has made so many is answered as it is. */
const READS_MAX = 500;

/** Waits on while none of what has come gets through the filter. */
async function readUntilFound(
  read: (part: ReadRequest) => Promise<Page>,
  asked: ReadRequest,
  now: () => number,
): Promise<Page> {
  const deadline = now() + asked.waitMs;
  let page = await read(asked);
  for (let reads = 1; page.events.length === 0 && page.next === null && reads < READS_MAX; reads += 1) {
    const waitMs = deadline - now();
    const next = Math.max(page.from ?? 0, page.lastSequence + 1);
    if (waitMs <= 0 || !mayCome(next, asked.until)) break;
    page = await read({ ...asked, from: { kind: 'sequence', sequence: next }, waitMs });
  }
  return page;
}

/** Can the next event lie in a range with this end? Where that is a time, the clock of the log would have to say. */
function mayCome(next: number, until: Position | null): boolean {
  return until === null || (until.kind === 'sequence' && next <= until.sequence);
}

/** The event's JSON. @throws Problem `unknown-topic`, `unknown-event`, `sequence-expired` */
export function foundOrRefuse(result: EventResult, topic: string, sequence: number): string {
  switch (result.outcome) {
    case 'found':
      return result.event.json;
    case 'unknown-topic':
      throw unknownTopic(topic);
    case 'unknown-event':
      throw new Problem('unknown-event', `The topic ${topic} has no event ${sequence}.`);
    case 'sequence-expired':
      throw expired(topic, result.firstSequence);
  }
}

function expired(topic: string, firstSequence: number): Problem {
  return new Problem('sequence-expired', `The first sequence of ${topic} is ${firstSequence}.`, {
    extra: { firstSequence },
  });
}

function pageOrRefuse(topic: string, result: ReadResult): Page {
  switch (result.outcome) {
    case 'page':
      return result;
    case 'unknown-topic':
      throw unknownTopic(topic);
    case 'sequence-expired':
      throw expired(topic, result.firstSequence);
    case 'invalid-range':
      throw new Problem('invalid-range', 'The range ends before it begins.', {
        errors: [{ path: 'until', message: 'lies before the start' }],
      });
  }
}

function twoStarts(query: { from?: unknown; after?: unknown; since?: unknown }): Problem {
  const given = (['from', 'after', 'since'] as const).filter((name) => query[name] !== undefined);
  return new Problem('invalid-range', 'Give one of from, after and since.', {
    errors: given.map((path) => ({ path, message: 'is one of several starts; give one' })),
  });
}

/** The first of the types asked for that there is; JSON for whoever asks for anything else. */
function preferred(request: Request): string {
  if (isWebSocket(request)) return WEB_SOCKET;
  const types = [LINES, EVENT_STREAM, 'application/json'];
  return acceptedTypes(request).find((type) => types.includes(type)) ?? 'application/json';
}

function pageResponse({ events, next, lastSequence }: Page): Response {
  const body = `{"events":[${events.map(({ json }) => json).join(',')}],"next":${next},"lastSequence":${lastSequence}}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

/** A page is read when the receiver has taken the one before: nothing piles up here. */
function linesResponse(lines: AsyncGenerator<Uint8Array>): Response {
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await lines.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await lines.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { 'content-type': LINES } });
}

/** The range as it was at the first page, so that a stream ends however fast events come. */
async function* linesOf(
  read: (part: ReadRequest) => Promise<Page>,
  asked: ReadRequest,
  first: Page,
  limit: number,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const end = first.lastSequence;
  let left = limit;
  let page = first;
  for (;;) {
    const events = page.events.filter(({ sequence }) => sequence <= end).slice(0, left);
    left -= events.length;
    if (events.length > 0) yield encoder.encode(events.map(({ json }) => `${json}\n`).join(''));
    const { next } = page;
    if (next === null || left === 0 || (asked.order === 'asc' && next >= end)) return;
    const rest: Partial<ReadRequest> =
      asked.order === 'asc'
        ? { from: { kind: 'sequence', sequence: next + 1 } }
        : { until: { kind: 'sequence', sequence: next } };
    page = await read({ ...asked, ...rest, limit: Math.min(left, LIST_LIMIT_MAX), waitMs: 0 });
  }
}
