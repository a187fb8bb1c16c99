import type { FrameHead, LogEvent } from '../topics/protocol.ts';
import { SHARED_FRAMES_CHARS_MAX } from './limits.ts';
import { Shared } from './shared.ts';

/** What a log sent; `events` null: it only says that there is more. */
export interface Frame {
  after: number;
  through: number;
  /** The log wants to know at once that it was taken. */
  asks: boolean;
  /** The same list for all who were sent the same text. */
  events: readonly LogEvent[] | null;
  characters: number;
}

/** By first line: the last texts, and what they say. A log sends the same text to all who read the same. */
const remembered = new Shared<string, { text: string; frame: Frame }>(SHARED_FRAMES_CHARS_MAX);

/** A text from a log, taken apart once for all readers in this isolate; null: the answer to a ping. */
export function frameOf(text: string): Frame | null {
  if (!text.startsWith('{')) return null;
  const end = text.indexOf('\n');
  const head = end < 0 ? text : text.slice(0, end);
  const known = remembered.get(head);
  // Two topics may well have the same first line.
  if (known?.text === text) return known.frame;
  const frame = parse(text);
  remembered.keep(head, { text, frame }, text.length);
  return frame;
}

function parse(text: string): Frame {
  const [first = '', ...lines] = text.split('\n');
  const { after, through, asks = false, sequences }: FrameHead = JSON.parse(first);
  const events = sequences?.map((sequence, index) => ({ sequence, json: lines[index] ?? '' })) ?? null;
  return { after, through, asks, events, characters: text.length };
}
