import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-pool-workers';
import { defineConfig } from 'vitest/config';

/** What the tests in workerd send as their admin key. */
const TEST_ADMIN_KEY = 'test-admin-key';
/** 32 bytes, base64. */
const TEST_HUB_SECRET = 'dGVzdC1odWItc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=';

/** Files at a time: vitest would leave one of two processors alone. */
const WORKERS = 2;

const UNIT_TIMEOUT_MS = 30_000;
const WORKERS_TIMEOUT_MS = 30_000;
const E2E_TIMEOUT_MS = 180_000;
const MIGRATED_STATE = './test/e2e/support/migrated-state.ts';
const FAULTS = ['test/e2e/{chaos,faults}/**/*.test.ts'];

export default defineConfig({
  test: {
    // The hub's own line for each request says nothing of a test.
    onConsoleLog: (line) => !line.includes('"message":"request"'),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workers/**', 'test/e2e/**', 'test/**/*.long.test.ts'],
          maxWorkers: WORKERS,
          testTimeout: UNIT_TIMEOUT_MS,
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              // Added to wrangler.toml's. Without it the local queues run strictly one message after another.
              compatibilityFlags: ['queue_consumer_no_wait_for_wait_until'],
              bindings: {
                ADMIN_KEY: TEST_ADMIN_KEY,
                HUB_SECRET: TEST_HUB_SECRET,
                WEBHOOK_ALLOW_HOSTS: 'localhost,127.0.0.1,[::1]',
                DNS_RESOLVER: '',
                TEST_D1_MIGRATIONS: await readD1Migrations('schemas/d1'),
              },
            },
          })),
        ],
        test: {
          name: 'workers',
          include: ['test/workers/**/*.test.ts'],
          setupFiles: ['./test/workers/setup.ts'],
          maxWorkers: WORKERS,
          testTimeout: WORKERS_TIMEOUT_MS,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: FAULTS,
          globalSetup: MIGRATED_STATE,
          maxWorkers: WORKERS,
          testTimeout: E2E_TIMEOUT_MS,
          hookTimeout: E2E_TIMEOUT_MS,
        },
      },
      {
        test: {
          name: 'faults',
          include: FAULTS,
          globalSetup: MIGRATED_STATE,
          // These try what a hub stands, so that each has the machine to itself.
          fileParallelism: false,
          testTimeout: E2E_TIMEOUT_MS,
          hookTimeout: E2E_TIMEOUT_MS,
        },
      },
    ],
  },
});
