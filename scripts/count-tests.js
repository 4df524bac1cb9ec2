// Prints the runner's own counts as one plain line: `tests: N passed, N failed, N skipped`. No test at all is a failure.
import { readFileSync } from 'node:fs'

const counts = { passed: 0, failed: 0, skipped: 0 }
try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
  counts.passed = report.numPassedTests
  counts.failed = report.numFailedTests
  // A file that does not even load has no failed test of its own.
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) counts.failed += 1
  }
  counts.skipped = report.numPendingTests + report.numTodoTests
} catch {
  counts.failed += 1
}
process.stdout.write(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
