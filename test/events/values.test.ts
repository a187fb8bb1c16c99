import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { formatDuration, parseDuration } from '../../src/events/duration-text.ts';
import { durationSchema } from '../../src/events/durations.ts';
import { formatPosition, parsePosition, positionSchema } from '../../src/events/position.ts';
import { formatTime, parseInstant, parseTime } from '../../src/events/times.ts';

describe('times', () => {
  test.each([
    ['2026-11-23T20:00:00Z', Date.UTC(2026, 10, 23, 20)],
    ['2026-11-23T20:00:00.5Z', Date.UTC(2026, 10, 23, 20, 0, 0, 500)],
    ['2026-11-23t20:00:00.123456789z', Date.UTC(2026, 10, 23, 20, 0, 0, 123)],
    ['2026-11-23T20:00:00+02:00', Date.UTC(2026, 10, 23, 18)],
    ['2026-11-23T20:00:00-05:30', Date.UTC(2026, 10, 24, 1, 30)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['1969-12-31T23:59:59.999Z', -1],
  ])('%s is one', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });

  test.each([
    '',
    'now',
    '2026-11-23',
    '2026-11-23T20:00Z',
    '2026-11-23T20:00:00',
    '2026-11-23 20:00:00Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:61Z',
    '2026-01-01T12:00:60Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+0100',
    '2026-01-01T00:00:00.Z',
    ' 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
    '9999-12-31T23:59:59-01:00',
  ])('%j is none', (text) => {
    expect(parseTime(text)).toBeNull();
  });

  test.each([
    ['2026-11-23T20:00:00.123Z', 123],
    ['2026-11-23T20:00:00.123000Z', 123],
    ['2026-11-23T20:00:00.1230001Z', 123.5],
    ['2026-11-23T20:00:00.123999999+00:00', 123.5],
    ['2026-11-23T20:00:00.9999Z', 999.5],
    ['2026-11-23T20:00:00.1Z', 100],
  ])('%s lies behind its millisecond if it has digits below that', (text, ms) => {
    expect(parseInstant(text)).toBe(Date.UTC(2026, 10, 23, 20) + ms);
  });

  test('no instant that is no time', () => {
    expect(parseInstant('2026-11-23T20:00:00.1239')).toBeNull();
  });

  test('what is formatted reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (ms) => {
        expect(parseTime(formatTime(ms))).toBe(ms);
      }),
    );
  });
});

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %d ms, both ways', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(text);
  });

  test.each(['', '5', 's', '1.5s', '-1s', '5 s', '5S', '1w', '1h30m', '9999999999999999d', '999999999999999d'])(
    '%j is none',
    (text) => {
      expect(parseDuration(text)).toBeNull();
    },
  );

  test('what is formatted reads back', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });

  test('the schema bounds them, both ends included', () => {
    const timeout = durationSchema(100, 30_000);
    expect(timeout.parse('100ms')).toBe(100);
    expect(timeout.parse('30s')).toBe(30_000);
    expect(timeout.safeParse('31s').error?.issues[0]?.message).toBe('must be between 100ms and 30s');
    expect(timeout.safeParse('soon').error?.issues[0]?.message).toContain('must be a duration');
    expect(timeout.safeParse(15).error?.issues[0]?.message).toContain('must be a duration');
  });
});

describe('positions', () => {
  const time = Date.UTC(2026, 0, 1);

  test.each([
    ['earliest', { kind: 'earliest' }],
    ['latest', { kind: 'latest' }],
    ['0', { kind: 'sequence', sequence: 0 }],
    ['42', { kind: 'sequence', sequence: 42 }],
    ['0000000000000042', { kind: 'sequence', sequence: 42 }],
    ['2026-01-01T00:00:00Z', { kind: 'time', time }],
  ])('%s in a query', (text, position) => {
    expect(parsePosition(text)).toEqual(position);
    expect(positionSchema.parse(text)).toEqual(position);
  });

  test.each(['', 'now', '-1', '1.5', '1e3', '2026-01-01', '99999999999999999', 'Earliest', ' 1'])(
    '%j is none',
    (text) => {
      expect(parsePosition(text)).toBeNull();
      expect(positionSchema.safeParse(text).success).toBe(false);
    },
  );

  test.each([
    [42, { kind: 'sequence', sequence: 42 }],
    [{ sequence: 42 }, { kind: 'sequence', sequence: 42 }],
    [{ time: '2026-01-01T00:00:00Z' }, { kind: 'time', time }],
  ])('%j in JSON', (json, position) => {
    expect(positionSchema.parse(json)).toEqual(position);
  });

  test.each([
    null,
    true,
    -1,
    1.5,
    2 ** 60,
    [],
    {},
    { sequence: '1' },
    { time: 1 },
    { time: 'now' },
    { sequence: 1, time: '2026-01-01T00:00:00Z' },
    { sequence: 1, more: 1 },
  ])('%j is none in JSON', (json) => {
    const result = positionSchema.safeParse(json);
    expect(result.success).toBe(false);
  });

  test('what is formatted reads back', () => {
    for (const json of ['earliest', 'latest', 7, '2026-01-01T00:00:00.000Z']) {
      expect(formatPosition(positionSchema.parse(json))).toBe(json);
    }
  });

  test('the schemas have a place in an OpenAPI document', () => {
    expect(z.toJSONSchema(positionSchema, { io: 'input' })).toHaveProperty('anyOf');
    expect(z.toJSONSchema(durationSchema(1, 2), { io: 'input' })).toHaveProperty('type', 'string');
  });
});
