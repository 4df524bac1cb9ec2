import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith, serverUrl } from '../setup/shared-servers.ts'
import { createNowhere, runHere } from './evt.ts'

describeWith('rabbitmq', 'gen --target to a queue that is not there', () => {
  it('says who makes it, with --create and without', async () => {
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const target = `${await serverUrl('rabbitmq')}?queue=q-${randomUUID().slice(0, 8)}`
    for (const more of [[], ['--create']]) {
      const ran = await runHere(['gen', 'user.created', '-t', target, '--yes', ...more], { cwd: nowhere.path })
      expect(ran.exit).toBe(2)
      expect(ran.stderr).toMatch(/it does not exist\nhint: declare it first: rabbitmqadmin declare queue name=q-/)
    }
  })
})
