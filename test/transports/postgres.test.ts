import { afterAll, beforeAll, describe } from 'vitest'
import { logCapabilities, openPostgres } from '../../src/transports/postgres/index.ts'
import { postgresVersions } from '../setup/postgres-binaries.ts'
import { canStart } from '../setup/shared-servers.ts'
import { doomInProcess } from './conformance/doom.ts'
import { describeTransport } from './conformance.ts'
import { type LogServer, startLogServer } from './log-server.ts'

for (const version of postgresVersions) {
  describe.skipIf(!canStart(`postgres-${version}`))(`PostgreSQL ${version}`, () => {
    let log: LogServer
    beforeAll(async () => {
      log = await startLogServer(version)
    })
    afterAll(() => log.stop())

    describeTransport('postgres', {
      open: () => openPostgres(log.server.url),
      capabilities: logCapabilities,
      topic: () => 'log',
      doom: (plan) => doomInProcess(log.server.url, plan),
      spoil: (message) => ({ ...message, body: Buffer.from('no JSON') }),
      transaction: (work) => log.store.transaction(work),
      settled: () => log.sequenced(),
      disconnect: () => log.disconnect(),
      async restart() {
        await log.server.kill('SIGKILL')
        await log.server.restart()
      },
      bigBytes: 1024 * 1024,
    })
  })
}
