import type { D1Migration } from 'cloudflare:test';
import type { Env } from '../../src/env.ts';

declare global {
  namespace Cloudflare {
    interface Env extends HubEnv {
      /** Read by vitest.config.ts, applied by setup.ts before each file. */
      TEST_D1_MIGRATIONS: D1Migration[];
    }
    interface GlobalProps {
      mainModule: typeof import('../../src/worker.ts');
    }
  }
}

type HubEnv = Env;
