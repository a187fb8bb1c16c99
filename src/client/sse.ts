/** Server-sent events, read as the WHATWG's HTML standard has them (9.2.6). */

export interface ServerSentEvent {
  /** The last id that was sent, with this or before; '' if none was. */
  lastId: string;
  event: string;
  /** Null: no event, but a sign of life, or an id that is to be come back with. */
  data: string | null;
}

/** What a stream sends, comments too. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let lastId = '';
  let event = '';
  let data: string[] = [];
  for await (const line of linesOf(body)) {
    if (line === '') {
      yield { lastId, event: event === '' ? 'message' : event, data: data.length > 0 ? data.join('\n') : null };
      [event, data] = ['', []];
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) {
      yield { lastId, event: '', data: null };
      continue;
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) lastId = value;
  }
}

/** Ended by LF, CR, or both. What comes after the last end is not a line: the stream was cut off in it. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A CR at the very end may be the first half of a CR LF.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it may be broken already
  }
}
