import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { openCluster } from '../../../src/transports/kafka/cluster.ts'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import { fetchCommitted } from '../../../src/transports/kafka/offsets.ts'
import { parseKafkaUrl } from '../../../src/transports/kafka/options.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { createWorld, until } from '../conformance/world.ts'

/** The long form: `EVT_TEST_REBALANCES=50 vitest run test/transports/kafka/storm.test.ts`, about five minutes. */
const rounds = Number(process.env.EVT_TEST_REBALANCES ?? 3)
const sessionMs = 1_500
const lanes = 6

const program = new URL('./storm-member.ts', import.meta.url)

/** Members of one group, and what they have finished. All are killed when the test ends. */
function createMembers(url: string, topic: string, group: string) {
  const directory = mkdtempSync(join(tmpdir(), 'evt-storm-'))
  const file = join(directory, 'finished')
  writeFileSync(file, '')
  const all: ChildProcess[] = []
  onTestFinished(() => {
    for (const child of all) child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  const running: ChildProcess[] = []
  return {
    running,
    start(): ChildProcess {
      const child = fork(program, [url, topic, group, file], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      all.push(child)
      running.push(child)
      return child
    },
    /** The one that has run for longest. */
    next(): ChildProcess {
      const child = running.shift()
      if (child === undefined) throw new Error('no member runs')
      return child
    },
    /** `partition:offset` of each. */
    finished: () =>
      new Set(
        readFileSync(file, 'utf8')
          .split('\n')
          .map((line) => line.split(' ')[0] ?? ''),
      ),
  }
}

describeWith('kafka', 'a group', () => {
  it(
    `never commits past what is unfinished, in ${rounds} rounds of members that join, leave, die and are stopped`,
    async () => {
      const url = await serverUrl('kafka')
      const world = createWorld({ open: () => openKafka(url), capabilities: kafkaCapabilities }, lanes)
      const transport = await world.open()
      onTestFinished(async () => transport.remove?.([world.topic]))
      const cluster = await openCluster(parseKafkaUrl(url))
      onTestFinished(() => cluster.close())
      const members = createMembers(`${url}?session=${sessionMs}ms`, world.topic, world.group)
      const places = Array.from({ length: lanes }, (_, partition) => ({ topic: world.topic, partition }))
      const faults: string[] = []
      let commits = 0
      let over = false

      /** What is committed first, what is finished afterwards. */
      async function look(): Promise<void> {
        const committed = await fetchCommitted(cluster, world.group, places).catch(() => new Map())
        const finished = members.finished()
        for (const { partition } of places) {
          const to = Number(committed.get(`${world.topic}/${partition}`)?.offset ?? 0)
          commits += to
          for (let offset = 0; offset < to; offset++)
            if (!finished.has(`${partition}:${offset}`))
              faults.push(`${partition} is committed to ${to}, without ${offset}`)
        }
      }

      const looking = (async () => {
        while (!over) {
          await look()
          await delay(100)
        }
      })()
      const published: string[] = []
      const publishing = (async () => {
        for (let n = 1; !over; n++) {
          const batch = Array.from({ length: 30 }, (_, key) => world.message(`s/${key}`, { key, n }))
          const results = await transport.publish(world.topic, batch, AbortSignal.timeout(20_000))
          for (const result of results) published.push('at' in result ? (result.at ?? '') : '')
          await delay(100)
        }
      })()

      const stop = async (child: ChildProcess) => {
        child.kill('SIGSTOP')
        await delay(sessionMs * 1.5)
        child.kill('SIGCONT')
        members.running.push(child)
      }
      const leave = async (child: ChildProcess) => {
        child.send('leave')
        await once(child, 'exit')
      }
      const kill = async (child: ChildProcess) => void child.kill('SIGKILL')
      const troubles = [kill, stop, leave]

      await Promise.all([members.start(), members.start()].map((child) => once(child, 'message')))
      for (let round = 0; round < rounds; round++) {
        await Promise.all([once(members.start(), 'spawn'), troubles[round % troubles.length]?.(members.next())])
        const before = members.finished().size
        await until('they go on', () => members.finished().size > before + 10, 30_000)
        // Each kill and each leave is made up for; who was stopped is one more.
        if (members.running.length > 4) await leave(members.next())
      }
      over = true
      await Promise.all([publishing, looking])
      expect(faults.slice(0, 5)).toEqual([])
      const isComplete = () => {
        const finished = members.finished()
        return published.every((at) => finished.has(at))
      }
      await until('all are finished', isComplete, 60_000)
      await look()
      expect(faults.slice(0, 5)).toEqual([])
      expect(commits).toBeGreaterThan(0)
      await Promise.all(members.running.splice(0).map(leave))
    },
    rounds * 15_000 + 60_000,
  )
})
