// Sagas of three steps, each of which asks by an event and waits for its answer; all answers are in the log already. Counts steps a second
// from the start of a bridge until all sagas are completed, and the CPU of both sides. `node bench/sagas.ts [sagas=1000] [rounds=3]`
import { argv, stdout } from 'node:process'
import { z } from 'zod'
import { createBridge } from '../src/bridge.ts'
import { defineEvent } from '../src/core/define-event.ts'
import { createRegistry } from '../src/core/registry.ts'
import { defineSaga } from '../src/sagas/define-saga.ts'
import { openStore, type Store } from '../src/store/connection.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { startPrivateServer } from '../test/setup/private-server.ts'

const [count, rounds] = [Number(argv[2] ?? 1_000), Number(argv[3] ?? 3)]
const shape = z.object({ n: z.number() })
const started = defineEvent('bench.started', { 1: shape })
const asked = defineEvent('bench.asked', { 1: shape })
const answers = ['one', 'two', 'three'].map((name) => defineEvent(`bench.${name}`, { 1: shape }))
const registry = createRegistry([started, asked, ...answers])

function sagaOf(round: number) {
  return defineSaga({
    name: `bench.round-${round}`,
    startsOn: started,
    state: z.object({ n: z.number(), answers: z.number().default(0) }),
    start: 'latest',
    steps: ({ step }) =>
      answers.map((answer, at) =>
        step(`step-${at}`, {
          run: ({ n }, ctx) => ctx.publish({ type: 'bench.asked', data: { n } }),
          awaits: answer,
          timeout: '10m',
          on: (state) => {
            state.answers += 1
          },
        }),
      ),
  })
}

const completed = async (store: Store, round: number) =>
  Number(
    (
      await store.query(`select count(*) as n from evt.sagas where saga = $1 and status = 'completed'`, [
        `bench.round-${round}`,
      ])
    ).rows[0]?.n,
  )

async function run(store: Store, round: number): Promise<void> {
  const log = { debug() {}, info() {}, warn: console.error, error: console.error }
  const bridge = createBridge({ store: store.connectionString, registry, sagas: [sagaOf(round)], log })
  await bridge.start()
  const cpu = process.cpuUsage()
  const begin = performance.now()
  for (const type of ['bench.started', ...answers.map((answer) => answer.type)])
    await store.query(
      `select evt.publish($1, json_build_object('n', n), 'job/' || $2 || '/' || n) from generate_series(1, $3::int) n`,
      [type, round, count],
    )
  while ((await completed(store, round)) < count) await new Promise((resolve) => setTimeout(resolve, 50))
  const seconds = (performance.now() - begin) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const steps = count * answers.length
  stdout.write(
    `round ${round}: ${Math.round(steps / seconds)} steps/s, ${Math.round(count / seconds)} sagas/s, ${((user + system) / steps).toFixed(0)} us of node a step\n`,
  )
  await bridge.stop()
}

const server = await startPrivateServer({ version: 18 })
const store = await openStore(server.url, { applicationName: 'evt bench', max: 4 })
try {
  await migrateUp(store)
  for (let round = 1; round <= rounds; round += 1) await run(store, round)
} finally {
  await store.close()
  await server.stop()
}
