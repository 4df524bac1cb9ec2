import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { SlowestFirst } from './test/setup/slowest-first.ts'

// Tests start hundreds of Node processes; each would strip and compile the same files. Where `evt` itself keeps it.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'node-compile-cache')

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'test/**/*.test.tsx'],
    globalSetup: ['test/setup/servers.ts'],
    setupFiles: ['test/setup/each-test.ts'],
    testTimeout: 30_000,
    // A hook may start a broker, on a machine that is busy with others.
    hookTimeout: 120_000,
    // Two cores, and most tests wait: a third worker uses what the others leave.
    maxWorkers: 3,
    // Servers are killed and processes stopped while three files share two cores: where CI decides, a case gets a second try, and says so.
    retry: process.env.CI ? 1 : 0,
    sequence: { sequencer: SlowestFirst },
  },
})
