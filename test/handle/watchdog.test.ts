import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createTestDatabase } from '../setup/database.ts'

const registry = createRegistry([defineEvent('thing.made', { 1: z.object({ n: z.number() }) })])
const file = new URL('./blocking-process.ts', import.meta.url).pathname

const cases = [
  [
    'a handler that never gives back the event loop',
    'loops',
    /begun last: test\.blocking; in a handler: test\.blocking/,
  ],
  ['a promise that is rejected and that nobody waits for', 'rejects', /nobody waits for me/],
  ['a handler that takes all the memory', 'hoards', /heap out of memory/],
] as const

// Each of its processes starts a bridge.
const timeoutMs = 60_000

it.each(cases)(
  '%s ends its process a bounded number of times, and only its event dies',
  async (_, how, says) => {
    const { store, url } = await createTestDatabase({ max: 3 })
    await store.query('create table effects (subject text)')
    const publisher = createPublisher({ store, registry, source: 'test' })
    const subjects = ['a', 'b', 'poison', 'c', 'd']
    await publisher.publishAll(subjects.map((subject, n) => ({ type: 'thing.made', subject, data: { n } })))
    const isDead = async () => (await store.query('select 1 from evt.dead_letters')).rows.length === 1
    const isDone = async () => (await isDead()) && (await store.query('select 1 from effects')).rows.length === 4
    let ends = 0
    let said = ''
    while (!(await isDone())) {
      // Two attempts; those that others share count a third.
      expect(ends).toBeLessThan(7)
      const child = spawn(process.execPath, ['--max-old-space-size=96', file, url, how], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      const errors = text(child.stderr)
      const ended = once(child, 'exit')
      let isOver = false
      void ended.then(() => {
        isOver = true
      })
      while (!isOver && !(await isDone())) await new Promise((resolve) => setTimeout(resolve, 50))
      if (!isOver) child.kill('SIGKILL')
      else ends += 1
      await ended
      said += await errors
    }
    expect(said).toMatch(says)
    const { rows } = await store.query('select subject, reason, error_class from evt.dead_letters')
    expect(rows).toEqual([{ subject: 'poison', reason: 'process-ended', error_class: 'ProcessEnded' }])
    const { rows: effects } = await store.query('select subject from effects order by 1')
    expect(effects.map(({ subject }) => subject)).toEqual(['a', 'b', 'c', 'd'])
  },
  timeoutMs,
)
