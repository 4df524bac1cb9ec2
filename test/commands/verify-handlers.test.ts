import { symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'

const src = resolve(import.meta.dirname, '../../src')

const config = `
import { z } from 'zod'
import { defineEvent, defineHandler, defineService } from '${src}/index.ts'
const made = defineEvent('thing.made', { 1: z.object({ thing_id: z.uuid(), size: z.int() }) })
const lost = defineEvent('thing.lost', { 1: z.object({ reason: z.string().optional() }) })
const keeps = defineHandler({ name: 'things.keeps', on: [made], async handle(event, ctx) {
  const [{ n }] = await ctx.sql\`select count(*)::int as n from pg_trigger where tgname = '~evt_note'\`
  if (n > 0) throw new Error('its tables are locked by a trigger')
  await ctx.sql\`insert into things values (\${event.data.thing_id}, \${event.data.size})\`
  await ctx.publish({ type: 'thing.lost', data: {} })
} })
const breaks = defineHandler({ name: 'things.breaks', on: ['thing.*'], handle({ type }) { if (type === 'thing.lost') throw new RangeError('always') } })
class NotKnown extends Error { name = 'NotKnown' }
const declines = defineHandler({ name: 'things.declines', on: [made], nonRetryable: ['NotKnown'], async handle() { throw new NotKnown('thing') } })
const mails = defineHandler({ name: 'things.mails', on: [made], transaction: 'none', handle() { throw new Error('must not run') } })
export default { services: [defineService({ name: 'things', contracts: [made, lost], handlers: [keeps, breaks, declines, mails] })] }
`

it('each handler gets a good and a corrupt event of each of its types, and nothing of it stays', async () => {
  const nowhere = createNowhere()
  onTestFinished(() => nowhere.dispose())
  writeFileSync(join(nowhere.path, 'evt.config.ts'), config)
  symlinkSync(resolve(src, '../node_modules'), join(nowhere.path, 'node_modules'))
  const { store, url } = await createTestDatabase()
  await store.query('create table things (id uuid primary key, size int)')
  const evt = (...words: string[]) => runHere(['handlers', 'verify', ...words], { store: url, cwd: nowhere.path })
  expect((await evt('--dry-run')).stdout).toContain('would verify 4 handlers with 4 made-up events')
  const ran = await evt('--yes', '--json')
  expect(ran).toMatchObject({ exit: 1 })
  const { verified, wrong } = JSON.parse(ran.stdout).data
  const rows = verified.map((one: Record<string, unknown>) => [
    one.handler,
    one.type,
    one.corruption ?? one.event,
    one.did,
  ])
  expect(rows.sort()).toEqual([
    ['things.breaks', 'thing.lost', 'bad-checksum', 'refused'],
    ['things.breaks', 'thing.lost', 'good', 'failed'],
    ['things.breaks', 'thing.made', 'good', 'handled'],
    ['things.breaks', 'thing.made', 'missing-field', 'refused'],
    ['things.declines', 'thing.made', 'good', 'declined'],
    ['things.declines', 'thing.made', 'missing-field', 'refused'],
    ['things.keeps', 'thing.made', 'good', 'handled'],
    ['things.keeps', 'thing.made', 'missing-field', 'refused'],
    ['things.mails', '*', 'good', 'not tried'],
  ])
  expect(wrong).toBe(1)
  expect(verified).toContainEqual(
    expect.objectContaining({ handler: 'things.keeps', tables: ['public.things'], published: ['thing.lost'] }),
  )
  expect((await store.query('select from things union all select from evt.outbox')).rows).toEqual([])
  await store.query('drop table things')
  const missing = await evt('things.keeps', '--yes')
  expect(missing).toMatchObject({ exit: 1, stderr: expect.stringContaining('evt up') })
  expect(await evt('things.keep')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('did you mean things.keeps?'),
  })
})
