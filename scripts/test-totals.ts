/** The sums over the reports that `npm test` leaves behind. Run by itself it prints them, for .ci/run. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './hub/wrangler.ts';

export const REPORTS = join(ROOT, 'dist', 'test-reports');
const VITEST_STEPS = ['unit', 'workers', 'e2e', 'faults'];
const STEPS = ['types', 'lint', ...VITEST_STEPS];

/** The other steps count as one test each. */
export function isVitestStep(step: string): boolean {
  return VITEST_STEPS.includes(step);
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** A step without a report counts as one failure: it broke before its first test. */
export function readTotals(steps: readonly string[]): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const step of steps) {
    const { passed, failed, skipped } = readReport(step);
    totals.passed += passed;
    totals.failed += failed;
    totals.skipped += skipped;
  }
  return totals;
}

function readReport(step: string): Totals {
  const file = join(REPORTS, `${step}.json`);
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  if (!isVitestStep(step)) {
    const { ok }: { ok: boolean } = JSON.parse(readFileSync(file, 'utf8'));
    return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
  }
  const report: VitestReport = JSON.parse(readFileSync(file, 'utf8'));
  // A file that fails as a whole (an import, a hook) has no failed test of its own.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export function describeTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

if (import.meta.main) {
  // Arguments: how many steps outside `npm test` passed and failed; they count like tests.
  const [passed = 0, failed = 0] = process.argv.slice(2).map(Number);
  const totals = readTotals(STEPS);
  totals.passed += passed;
  totals.failed += failed;
  console.log(describeTotals(totals));
  process.exitCode = totals.failed === 0 ? 0 : 1;
}
