import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { createEventBus } from '../../../src/event-bus.ts'
import type { ServerName } from '../../setup/server-names.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'

const program = join(import.meta.dirname, 'bus-process.ts')
const subjects = 40
const loadMs = 8_000

const servers: readonly { readonly name: ServerName; env(url: string): Record<string, string> }[] = [
  { name: 'redis', env: (url) => ({ EVENT_BUS_TYPE: 'redis', REDIS_EVENT_URL: url }) },
  { name: 'kafka', env: (url) => ({ EVENT_BUS_TYPE: 'kafka', KAFKA_BOOTSTRAP_SERVERS: new URL(url).host }) },
  { name: 'rabbitmq', env: (url) => ({ EVENT_BUS_TYPE: 'rabbitmq', RABBITMQ_URL: url }) },
]

for (const { name, env } of servers) {
  describeWith(name, 'three processes of one group, of which one is killed and one started again and again,', () => {
    it('lose nothing and keep the order of each subject', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'evt-churn-'))
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
      const file = join(directory, 'seen')
      writeFileSync(file, '')
      const topic = `churn-${randomUUID().slice(0, 8)}`
      const environment = env(await serverUrl(name))
      const processes: ChildProcess[] = []
      onTestFinished(() => {
        for (const child of processes) child.kill('SIGKILL')
      })

      async function startOne(): Promise<void> {
        const child = spawn(process.execPath, [program], {
          env: { PATH: '', ...environment, BUS_TOPIC: topic, BUS_FILE: file },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        processes.push(child)
        await new Promise((resolve, reject) => {
          child.stdout.once('data', resolve)
          child.once('exit', (code, signal) => reject(new Error(`ended before it was ready: ${code ?? signal}`)))
        })
      }

      const bus = createEventBus({ env: environment, cwd: '/', topic, lanes: 8 })
      onTestFinished(() => bus.stop())
      await bus.start()
      await Promise.all([startOne(), startOne(), startOne()])
      const next = new Array<number>(subjects).fill(0)
      const outcomes: Promise<{ state: string }>[] = []
      const endMs = performance.now() + loadMs
      const loading = (async () => {
        while (performance.now() < endMs) {
          for (let subject = 0; subject < subjects; subject++) {
            const n = (next[subject] ?? 0) + 1
            next[subject] = n
            outcomes.push(bus.publish({ type: 'churn.made', subject: `s/${subject}`, data: { n } }))
          }
          await delay(20)
        }
      })()
      while (performance.now() < endMs - 1_000) {
        await delay(2_000)
        processes.shift()?.kill('SIGKILL')
        await startOne()
      }
      await loading
      expect((await Promise.all(outcomes)).every(({ state }) => state === 'stored')).toBe(true)

      const total = next.reduce((sum, n) => sum + n, 0)
      const seen = () => {
        const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
        return lines.map((line) => line.split(' ') as [string, string, string, string])
      }
      const distinct = () => new Set(seen().map(([subject, n]) => `${subject} ${n}`)).size
      await until(() => distinct() === total, { withinMs: 60_000, what: `all ${total} events` }).catch((error) => {
        throw new Error(`${error.message}: ${distinct()} of ${total}`)
      })
      const latest = new Map<string, number>()
      const known = new Set<string>()
      const disorder: string[] = []
      for (const [subject, n] of seen()) {
        if (known.has(`${subject} ${n}`)) continue
        known.add(`${subject} ${n}`)
        if (Number(n) !== (latest.get(subject) ?? 0) + 1) disorder.push(`${subject}: ${n} after ${latest.get(subject)}`)
        latest.set(subject, Number(n))
      }
      expect(disorder).toEqual([])
      const repeated = seen().length - total
      // What a killed process had done and not settled comes again: at most what it may hold.
      expect(repeated).toBeLessThan(total / 4)
      for (const child of processes) child.kill('SIGTERM')
    }, 120_000)
  })
}
