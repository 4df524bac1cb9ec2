import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const subjects = 8
const each = 10

/** As an application under this isolation has to: what was spoilt is tried again, whole. */
async function write(store: Store, subject: string, sequence: number): Promise<void> {
  for (;;) {
    try {
      return await store.transaction(async (sql) => {
        await sql.query('insert into orders (subject) values ($1)', [subject])
        await sql.query(`select evt.publish('thing.done', '{}', $1, sequence => $2)`, [subject, sequence])
      })
    } catch (error) {
      if ((error as { code?: string }).code !== '40001') throw error
    }
  }
}

it.each(['serializable', 'repeatable read'])(
  'where every transaction is %s, nothing is lost, doubled or out of order, and no failure is counted',
  { timeout: 60_000 },
  async (isolation) => {
    const { store, url } = await createTestDatabase({ max: 4 })
    await store.query('create table orders (subject text); create table totals as select 0 as n')
    await store.query('create table effects (n bigint generated always as identity, subject text, sequence int)')
    await store.query(
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = '${isolation}'`,
    )
    const handler = defineHandler({
      name: 'test.effects',
      on: ['thing.*'],
      start: 'earliest',
      async handle(event, ctx) {
        await ctx.sql`insert into effects (subject, sequence) values (${event.subject}, ${event.sequence})`
        // All of them meet here.
        await ctx.sql`update totals set n = n + 1`
      },
    })
    const bridges = [1, 2].map(() => createBridge({ store: url, handlers: [handler], registry: createRegistry([]) }))
    for (const bridge of bridges) {
      onTestFinished(() => bridge.stop())
      await bridge.start()
    }
    // Its sessions begin under the setting.
    const writer = await openStore(url, { applicationName: 'evt test writer' })
    onTestFinished(() => writer.close())
    expect((await writer.query('show transaction_isolation')).rows).toEqual([{ transaction_isolation: isolation }])
    await Promise.all(
      Array.from({ length: subjects }, async (_, subject) => {
        for (let n = 1; n <= each; n++) await write(writer, `s${subject}`, n)
      }),
    )
    const seen = async () =>
      (await store.query('select array_agg(sequence order by n) as seen from effects group by subject')).rows
    const total = async () => (await seen()).reduce((sum, row) => sum + (row.seen as number[]).length, 0)
    await until(async () => (await total()) >= subjects * each, { withinMs: 30_000 })
    const expected = Array.from({ length: each }, (_, n) => n + 1)
    expect((await seen()).map((row) => row.seen)).toEqual(Array.from({ length: subjects }, () => expected))
    expect((await store.query('select n from totals')).rows).toEqual([{ n: subjects * each }])
    expect((await store.query('select from evt.dead_letters')).rows).toEqual([])
    expect(bridges.map((bridge) => bridge.stats().handlers[0]?.failed)).toEqual([0, 0])
  },
)
