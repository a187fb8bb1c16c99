/** The sums over the reports that `npm test` leaves behind. Run by itself it prints them, for .ci/run. */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
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
  /** What failed, and the beginning of why. */
  failures: string[];
}

/** Lines of what a failure says that are shown once more at the end. */
const FAILURE_LINES = 12;

/** A step without a report counts as one failure: it broke before its first test. */
export function readTotals(steps: readonly string[]): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const step of steps) {
    const { passed, failed, skipped, failures } = readReport(step);
    totals.passed += passed;
    totals.failed += failed;
    totals.skipped += skipped;
    totals.failures.push(...failures);
  }
  return totals;
}

function readReport(step: string): Totals {
  const file = join(REPORTS, `${step}.json`);
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0, failures: [`${step}: ended without a report`] };
  if (!isVitestStep(step)) {
    const { ok }: { ok: boolean } = JSON.parse(readFileSync(file, 'utf8'));
    return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, failures: ok ? [] : [step] };
  }
  const report: VitestReport = JSON.parse(readFileSync(file, 'utf8'));
  const failures = report.testResults.flatMap(failuresOf);
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** A file that fails as a whole (an import, a hook) has no failed test of its own. */
function failuresOf({ name, status, message, assertionResults }: VitestReport['testResults'][number]): string[] {
  const file = relative(ROOT, name);
  const tests = assertionResults
    .filter((test) => test.status === 'failed')
    .map(({ fullName, failureMessages }) => `${file}: ${fullName}\n${beginning(failureMessages.join('\n'))}`);
  return status === 'failed' && tests.length === 0 ? [`${file}\n${beginning(message)}`] : tests;
}

function beginning(message: string): string {
  const lines = message.split('\n').filter((line) => !line.includes('node_modules'));
  return lines
    .slice(0, FAILURE_LINES)
    .map((line) => `      ${line}`)
    .join('\n');
}

/** The sums, in the form that ends a build. */
export function describeTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

interface VitestReport {
  numPassedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

if (import.meta.main) {
  // Arguments: how many steps outside `npm test` passed and failed; they count like tests.
  const [passed = 0, failed = 0] = process.argv.slice(2).map(Number);
  const totals = readTotals(STEPS);
  totals.passed += passed;
  totals.failed += failed;
  for (const failure of totals.failures) console.log(`  FAILED  ${failure}\n`);
  console.log(describeTotals(totals));
  process.exitCode = totals.failed === 0 ? 0 : 1;
}
