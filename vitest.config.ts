import { defineConfig } from 'vitest/config'
import { SlowestFirst } from './test/setup/slowest-first.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    globalSetup: ['test/setup/servers.ts'],
    testTimeout: 30_000,
    // A hook may start a broker, on a machine that is busy with others.
    hookTimeout: 120_000,
    // Two cores, and most tests wait: a third worker uses what the others leave.
    maxWorkers: 3,
    sequence: { sequencer: SlowestFirst },
  },
})
