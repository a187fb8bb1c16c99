import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setUp } from '../../examples/checkout/setup.ts';
import { Millrace } from '../../src/client/index.ts';
import { freePort } from '../hub/free-port.ts';
import { HubProcess } from '../hub/hub-process.ts';
import { WorkerProcess } from '../hub/worker-process.ts';
import { ROOT, runWrangler } from '../hub/wrangler.ts';

const CONFIG = join(ROOT, 'examples', 'checkout', 'wrangler.toml');

/** A hub and the shop of examples/checkout, each under a `wrangler dev` of its own, with fresh state. */
export interface Shop {
  /** The page. */
  url: string;
  hub: HubProcess;
  /** The client with the admin key. */
  admin: Millrace;
  /** Rows of a query over the shop's D1. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** @param mailUrl where the shop sends its mails */
export async function startShop(mailUrl: string): Promise<Shop> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-checkout-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const persistTo = join(folder, 'shop');
  const database = ['DB', '--local', '--config', CONFIG, '--persist-to', persistTo];
  const hub = await HubProcess.start({ persistTo: join(folder, 'hub'), vars: { CORS_ORIGINS: url } });
  const stopping: (() => Promise<void>)[] = [() => hub.stop()];
  const stop = async () => {
    await Promise.all(stopping.map((end) => end()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const admin = new Millrace({ url: hub.url, key: hub.adminKey });
    const vars = { ...(await setUp(admin, url)), HUB_URL: hub.url, MAIL_URL: mailUrl };
    await runWrangler(['d1', 'migrations', 'apply', ...database]);
    const isReady = (status: number) => status === 200;
    const shop = await WorkerProcess.start({ name: 'checkout', config: CONFIG, persistTo, port, isReady, vars });
    stopping.push(() => shop.stop());
    const query = async (sql: string) => {
      const printed = await runWrangler(['d1', 'execute', ...database, '--json', '--command', sql]);
      const [answer]: { results: Record<string, unknown>[] }[] = JSON.parse(printed);
      return answer?.results ?? [];
    };
    return { url, hub, admin, query, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
