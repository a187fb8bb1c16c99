import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, isScope, type Need } from '../../src/access/scopes.ts';

describe('P7 closed: a key does what its scopes say', () => {
  it.each<[scopes: string[], need: Need, granted: boolean]>([
    [['publish:orders'], { scope: 'publish', on: 'orders' }, true],
    [['publish:orders'], { scope: 'publish', on: 'orders.eu' }, false],
    [['publish:orders.>'], { scope: 'publish', on: 'orders.eu.de' }, true],
    [['publish:orders.>'], { scope: 'publish', on: 'orders' }, false],
    [['publish:orders.*'], { scope: 'publish', on: 'orders.eu.de' }, false],
    [['read:>'], { scope: 'publish', on: 'orders' }, false],
    [['read:>'], { scope: 'read', on: 'orders.*' }, true],
    [['read:orders.*'], { scope: 'read', on: 'orders.>' }, false],
    [['read:orders.eu'], { scope: 'read', on: 'orders.*' }, false],
    [['read:>'], { scope: 'read', on: 'millrace.system' }, false],
    [['read:millrace.system'], { scope: 'read', on: 'millrace.system' }, true],
    [['subscriptions:billing-*'], { scope: 'subscriptions', on: 'billing-eu' }, true],
    [['subscriptions:billing-*'], { scope: 'subscriptions', on: 'billing' }, false],
    [['subscriptions:*'], { scope: 'subscriptions', on: 'any.name' }, true],
    [['subscriptions:a*b*c'], { scope: 'subscriptions', on: 'a-b-b-c' }, true],
    [['subscriptions:a*b*c'], { scope: 'subscriptions', on: 'a-c' }, false],
    [['subscriptions:ab*ba'], { scope: 'subscriptions', on: 'aba' }, false],
    [['bindings:BILLING'], { scope: 'bindings', on: 'BILLING' }, true],
    [['bindings:MAIL_*'], { scope: 'bindings', on: 'MAIL_QUEUE' }, true],
    [['bindings:MAIL_*'], { scope: 'bindings', on: 'MAIL' }, false],
    [['bindings:*'], { scope: 'bindings', on: '$any_1' }, true],
    [['subscriptions:*'], { scope: 'bindings', on: 'billing' }, false],
    [['bindings:*'], { scope: 'subscriptions', on: 'billing' }, false],
    [['admin'], { scope: 'bindings', on: 'BILLING' }, true],
    [['replays'], { scope: 'replays' }, true],
    [['replays'], { scope: 'dead-letters' }, false],
    [['admin'], { scope: 'publish', on: 'millrace.system' }, true],
    [['admin'], { scope: 'metrics' }, true],
    [[], { scope: 'replays' }, false],
  ])('%j and %j: %s', (scopes, need, granted) => {
    expect(allows(scopes, need)).toBe(granted);
  });

  it.each([
    'publish:orders',
    'read:>',
    'topics:a.*',
    'subscriptions:*',
    'subscriptions:a-*',
    'bindings:*',
    'bindings:BILLING',
    'bindings:*_QUEUE',
    'admin',
    'metrics',
  ])('%s is a scope', (scope) => expect(isScope(scope)).toBe(true));

  it.each([
    '',
    'publish',
    'publish:',
    'publish:A',
    'read:a..b',
    'read:>.a',
    'admin:x',
    'subscriptions',
    'subscriptions:',
    'bindings',
    'bindings:',
    'bindings:9*',
    'bindings:MAIL-QUEUE',
    `bindings:${'A'.repeat(101)}`,
    'bindings:MAIL\nadmin',
    'root',
    'read:a\nadmin',
  ])('%j is none', (scope) => expect(isScope(scope)).toBe(false));

  it('never grants what no scope names, whatever the strings', () => {
    const need = fc.record({ scope: fc.constantFrom('publish' as const, 'read' as const), on: fc.string() });
    fc.assert(
      fc.property(fc.array(fc.string()), need, (scopes, wanted) => {
        fc.pre(!scopes.some((scope) => scope === 'admin' || scope.startsWith(wanted.scope)));
        return !allows(scopes, wanted);
      }),
    );
  });
});
