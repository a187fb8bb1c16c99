import { CLOSE_CODES, type ClosingCode, lastWord } from '../tails/closing.ts';
import type { Socket } from '../tails/ports.ts';
import type { TailStep } from '../tails/tail.ts';
import type { Turns } from '../tails/turns.ts';
import { Window } from '../tails/window.ts';

const PING = 'ping';
const PONG = 'pong';
/** The sequence of an event, as a number or as the event has it. */
const ACKNOWLEDGEMENT = /^\d+$/;

/**
 * A tail over a WebSocket: one event a text frame. What the reader sends is a ping, an acknowledgement, or ignored.
 *
 * @param start where the reader stands who was given nothing yet
 * @param now milliseconds since the epoch
 */
export async function tailSocket(
  socket: Socket,
  turns: Turns,
  start: number,
  now: () => number,
  stop: AbortSignal,
  over: (code: ClosingCode) => void,
): Promise<void> {
  const window = new Window(start, now);
  let through = start;
  socket.listen({
    message: (text) => {
      if (text === PING) sendTo(socket, PONG);
      else if (ACKNOWLEDGEMENT.test(text) && !window.acknowledged(Number(text))) turns.end('invalid-acknowledgement');
    },
    closed: () => turns.end('hung-up'),
  });
  const give = ({ events, through: to }: TailStep): number => {
    let characters = 0;
    for (const { sequence, json } of events) {
      window.sent(sequence, json.length);
      if (!sendTo(socket, json)) turns.end('hung-up');
      characters += json.length;
    }
    through = to;
    return characters;
  };
  for (;;) {
    const turn = await turns.next();
    if (turn.kind === 'end') {
      over(turn.code);
      socket.close(CLOSE_CODES[turn.code], lastWord(turn.code, through));
      return;
    }
    if (turn.kind === 'quiet') continue;
    const end = await window.room(give(turn.step), stop);
    if (end !== null) turns.end(end);
  }
}

/** False: it is closed. */
function sendTo(socket: Socket, text: string): boolean {
  try {
    socket.send(text);
    return true;
  } catch {
    return false;
  }
}
