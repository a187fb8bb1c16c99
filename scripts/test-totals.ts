/** The sums over vitest's JSON reports, which `npm test` leaves behind. Run by itself it prints them, for .ci/run. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './hub/wrangler.ts';

export const REPORTS = join(ROOT, 'dist', 'test-reports');
/** The steps of `npm test` that vitest runs. */
const VITEST_STEPS = ['unit', 'workers', 'e2e'];

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** A vitest step without a report counts as one failure: it broke before its first test. */
export function readTotals(steps: readonly string[]): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const step of steps.filter((name) => VITEST_STEPS.includes(name))) {
    const file = join(REPORTS, `${step}.json`);
    if (!existsSync(file)) {
      totals.failed += 1;
      continue;
    }
    const report: Report = JSON.parse(readFileSync(file, 'utf8'));
    totals.passed += report.numPassedTests;
    totals.skipped += report.numPendingTests + report.numTodoTests;
    totals.failed += report.numFailedTests;
    // A file that fails as a whole (an import, a hook) has no failed test of its own.
    totals.failed += report.testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
    ).length;
  }
  return totals;
}

export function describeTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

if (import.meta.main) {
  // Arguments: how many steps outside vitest passed and failed; they count like tests.
  const [passed = 0, failed = 0] = process.argv.slice(2).map(Number);
  const totals = readTotals(VITEST_STEPS);
  totals.passed += passed;
  totals.failed += failed;
  console.log(describeTotals(totals));
  process.exitCode = totals.failed === 0 ? 0 : 1;
}
