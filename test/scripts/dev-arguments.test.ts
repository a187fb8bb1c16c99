import { describe, expect, it } from 'vitest';
import { devArguments, reach } from '../../scripts/hub/dev-arguments.ts';
import { configuredFlags } from '../../scripts/hub/wrangler.ts';

const FLAGS = ['global_fetch_strictly_public', 'enable_request_signal'];

function valuesOf(args: string[], option: string): string[] {
  return args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));
}

describe('npm run dev', () => {
  it('sets port, address, flags and the hosts that webhooks may reach', () => {
    const { dev, shared, ip, vars } = devArguments([], FLAGS);
    expect(valuesOf(dev, '--port')).toEqual(['8787']);
    expect(valuesOf(dev, '--ip')).toEqual(['127.0.0.1']);
    expect(ip).toBe('127.0.0.1');
    expect(valuesOf(dev, '--compatibility-flags')).toEqual([...FLAGS, 'queue_consumer_no_wait_for_wait_until']);
    expect(vars).toEqual({ WEBHOOK_ALLOW_HOSTS: 'localhost,127.0.0.1,[::1]', DNS_RESOLVER: '' });
    expect(shared).toEqual([]);
  });

  it('lets what a person gives win, in either spelling, and gives the migrations the same state', () => {
    const given = ['--port=9911', '--persist-to', 'DIR', '--var', 'ADMIN_KEY:a:b', '--ip', '::1'];
    const { dev, shared, ip, vars } = devArguments(given, FLAGS);
    expect(dev).not.toContain('--port');
    expect(valuesOf(dev, '--ip')).toEqual(['::1']);
    expect(dev.slice(-given.length)).toEqual(given);
    expect(shared).toEqual(['--persist-to', 'DIR']);
    expect(ip).toBe('::1');
    expect(vars.ADMIN_KEY).toBe('a:b');
  });

  it('reads several variables after one --var, and does not set one that was given', () => {
    const { dev, vars } = devArguments(
      ['--var', 'A:1', 'WEBHOOK_ALLOW_HOSTS:example.test:8080', 'DNS_RESOLVER:x'],
      FLAGS,
    );
    expect(vars).toEqual({ A: '1', WEBHOOK_ALLOW_HOSTS: 'example.test:8080', DNS_RESOLVER: 'x' });
    expect(valuesOf(dev, '--var')).toEqual(['A:1']);
  });

  it('says what webhooks may reach as it is', () => {
    const said = (...given: string[]) => reach(devArguments(given, FLAGS).vars.WEBHOOK_ALLOW_HOSTS ?? '');
    expect(said()).toContain('loopback');
    const given = said('--var', 'WEBHOOK_ALLOW_HOSTS:example.test:8080, b.test');
    expect(given).toContain('example.test:8080, b.test');
    expect(given).not.toContain('loopback');
    expect(said('--var', 'WEBHOOK_ALLOW_HOSTS:')).toContain('public hosts only');
  });

  it('leaves the flags to a person who names some', () => {
    const { dev } = devArguments(['--compatibility-flag', 'nodejs_compat'], FLAGS);
    expect(dev).not.toContain('--compatibility-flags');
  });

  it('hands the configuration file to the migrations, short option or long', () => {
    expect(devArguments(['-c', 'other.toml'], FLAGS).shared).toEqual(['--config', 'other.toml']);
    const several = ['--config', 'hub.toml', '--config', 'billing.toml'];
    expect(devArguments(several, FLAGS).shared).toEqual(['--config', 'hub.toml']);
  });

  it('knows the flags of wrangler.toml', () => {
    expect(configuredFlags()).toEqual(FLAGS);
  });
});
