// One process with a bus, for tests that kill it: handlers append what they see to a file that all processes share.
import { appendFileSync } from 'node:fs'
import { createEventBus } from '../../../src/event-bus.ts'

const { BUS_TOPIC: topic = '', BUS_FILE: file = '' } = process.env
const failed = new Set<string>()
const bus = createEventBus({ env: process.env, cwd: '/', topic, lanes: 8, group: topic, grace: '3s' })
await bus.start()
await bus.subscribe(
  'churn.*',
  (event, ctx) => {
    const { n, kills } = event.data as { n: number; kills?: boolean }
    if (kills) {
      appendFileSync(file, `${event.subject} ${n} ${process.pid} ${ctx.attempt}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
    // A twentieth of first attempts fails.
    if (n % 20 === 7 && !failed.has(event.id)) {
      failed.add(event.id)
      throw new Error('the first time it fails')
    }
    appendFileSync(file, `${event.subject} ${n} ${process.pid} ${ctx.attempt}\n`)
  },
  // Its failures come for all subjects at once: the breaker would open, and that is not what is tried here.
  { name: 'churn', start: 'earliest', concurrency: 32, retry: { attempts: 3, initial: '10ms' }, breaker: false },
)
process.stdout.write('ready\n')
process.on('SIGTERM', () => {
  void bus.stop().then(() => process.exit(0))
})
