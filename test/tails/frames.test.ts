import { describe, expect, it } from 'vitest';
import { frameOf } from '../../src/tails/frames.ts';

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
    expect(frameOf(['', '{"type":"a"}', '{"type":"b"}'].join('\n').replace('', HEAD))).toBe(frame);
  });

  it('P2 is its own, however alike the frame of another topic begins', () => {
    const ofOne = frameOf(`${HEAD}\n{"type":"a"}\n{"type":"b"}`);
    const ofOther = frameOf(`${HEAD}\n{"type":"a"}\n{"type":"c"}`);
    expect([ofOne, ofOther].map((frame) => frame?.events?.at(-1)?.json)).toEqual(['{"type":"b"}', '{"type":"c"}']);
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
