import { expect, it } from 'vitest'
import { ensureProjection, readGenerations, rebuildProjection } from '../../src/store/projections.ts'
import { createTestDatabase } from '../setup/database.ts'
import { runHere } from './evt.ts'
import { addDeadLetters, type Buried } from './stores.ts'

const died = {
  handler: 'projection.thing_totals.g2',
  ...{ id: 'e1', type: 'thing.happened', version: 1, source: 'test', time: '2026-01-02T03:04:05.678Z' },
  ...{ subject: 'a', priority: 'normal', metadata: {}, data: {} },
} as Buried

it('a build that does not take its place says why, and is given up when somebody asks for it', async () => {
  const { store, url } = await createTestDatabase()
  const evt = (...words: string[]) => runHere(['projection', ...words], { store: url })
  const projection = { name: 'thing_totals', version: 1, tables: { totals: 'n int' } }
  await ensureProjection(store, projection, ['thing.*'])
  expect(await evt('stop', 'thing_totals', '--yes')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('no build of it is under way'),
  })
  await rebuildProjection(store, projection)
  await addDeadLetters(store, [died])
  const listed = await evt('list')
  expect(listed.stdout).toMatch(/building +2 .* 1 dead: the live one stays\n/)
  expect(listed.stderr).toMatch(/evt dlq replay .*projection\.thing_totals\.g2.*evt projection stop thing_totals/)
  expect(JSON.parse((await evt('list', '--json')).stdout).data.projections).toMatchObject([
    { generation: 1, missing: 0, dead: 0 },
    { generation: 2, missing: 1, dead: 1 },
  ])
  expect(await evt('stop', 'thing_total', '--yes')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('did you mean thing_totals?'),
  })
  expect(await evt('stop', 'thing_totals')).toMatchObject({ exit: 4 })
  expect(await evt('stop', 'thing_totals', '--yes', '--reason', 'mistaken')).toMatchObject({ exit: 0 })
  expect(await readGenerations(store)).toMatchObject([{ generation: 1, status: 'live' }])
  expect((await store.query('select verb, target, reason, affected::int from evt.audit')).rows).toEqual([
    { verb: 'projection stop', target: 'projection thing_totals', reason: 'mistaken', affected: 1 },
  ])
})
