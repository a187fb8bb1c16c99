import { describe, expect, it } from 'vitest';
import { frameOf } from '../../src/tails/frames.ts';
import { SHARED_FRAMES_CHARS_MAX } from '../../src/tails/limits.ts';
import { joined } from '../../src/tails/shared.ts';

const HEAD = '{"after":4,"through":6,"sequences":[5,6]}';

describe('a frame', () => {
  it('is taken apart once for all who were sent the same', () => {
    const frame = frameOf(`${HEAD}\n{"type":"a"}\n{"type":"b"}`);
    expect(frame).toEqual({
      after: 4,
      through: 6,
      asks: false,
      events: [
        { sequence: 5, json: '{"type":"a"}' },
        { sequence: 6, json: '{"type":"b"}' },
      ],
      characters: HEAD.length + 26,
    });
    // Put together anew: it is known by what it says, not as the same string.
    expect(frameOf([HEAD, '{"type":"a"}', '{"type":"b"}'].join('\n'))).toBe(frame);
  });

  it('P2 is its own, however alike the frame of another topic begins', () => {
    const ofOne = frameOf(`${HEAD}\n{"type":"a"}\n{"type":"b"}`);
    const ofOther = frameOf(`${HEAD}\n{"type":"a"}\n{"type":"c"}`);
    expect([ofOne, ofOther].map((frame) => frame?.events?.at(-1)?.json)).toEqual(['{"type":"b"}', '{"type":"c"}']);
  });

  it('P6 is forgotten for large ones that came after it, and when the last reader has gone', () => {
    const text = `${HEAD}\n{"type":"a"}\n{"type":"b"}`;
    const [first, second] = [joined(), joined()];
    const frame = frameOf(text);
    const large = 'x'.repeat(SHARED_FRAMES_CHARS_MAX / 4);
    for (let after = 10; after < 13; after += 1)
      frameOf(`{"after":${after},"through":${after + 1},"sequences":[1]}\n${large}`);
    expect(frameOf(text)).toBe(frame);
    frameOf(`{"after":13,"through":14,"sequences":[1]}\n${large}`);
    const again = frameOf(text);
    expect(again).not.toBe(frame);
    first();
    expect(frameOf(text)).toBe(again);
    second();
    expect(frameOf(text)).not.toBe(again);
  });

  it('may carry nothing, ask for what was taken, or be none', () => {
    expect(frameOf('{"after":1,"asks":true,"through":9,"sequences":null}')).toMatchObject({
      asks: true,
      through: 9,
      events: null,
    });
    expect(frameOf('pong')).toBeNull();
  });
});
