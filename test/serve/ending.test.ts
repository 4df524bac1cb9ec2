import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { connectRaw } from './raw.ts'
import { readStream } from './read-stream.ts'
import { serve } from './served.ts'

const user = (id: string) => ({ id, type: 'user.created', subject: 'user/1', data: { name: 'Ada' } })

describe('HTTP that ends', () => {
  it('lets a request finish, ends streams with a word, and takes no new connection', async () => {
    const { url, stop, store } = await serve({}, { grace: '5s' })
    const stream = await readStream(`${url}/events`)
    const client = await connectRaw(url)
    const body = JSON.stringify(user('late'))
    client.write(
      `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
    )
    client.write(body.slice(0, 10))
    // The head is read: the request runs.
    await fetch(`${url}/healthz`)
    const stopped = stop()
    await stream.ended
    expect(stream.text()).toMatch(/retry: \d+\nevent: end\n/)
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
    client.write(body.slice(10))
    await stopped
    expect(client.text()).toContain('HTTP/1.1 202')
    const { rows } = await store.query('select id from evt.outbox')
    expect(rows).toEqual([{ id: 'late' }])
  })

  it('cuts what does not finish within the grace', async () => {
    const { url, stop } = await serve({}, { grace: '200ms' })
    const client = await connectRaw(url)
    client.write(
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
    )
    await fetch(`${url}/healthz`)
    await stop()
    await client.closed
  })

  it('has stored what it answered, also when its process is killed', async () => {
    const { url: store, store: sql } = await createTestDatabase()
    const { url, child } = await startProcess(store)
    const answered: string[] = []
    let sent = 0
    const write = async (lane: number) => {
      for (let n = 0; ; n++) {
        const events = Array.from({ length: 5 }, (_, i) => user(`${lane}-${n}-${i}`))
        sent += 1
        const answer = await fetch(`${url}/events`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(events),
        }).catch(() => undefined)
        if (answer?.status !== 202) return
        answered.push(...events.map(({ id }) => id))
      }
    }
    const writing = [1, 2, 3, 4].map(write)
    await until(() => answered.length >= 200)
    child.kill('SIGKILL')
    await Promise.all(writing)
    const { rows } = await sql.query('select id from evt.outbox')
    const stored = new Set(rows.map(({ id }) => id))
    expect(answered.filter((id) => !stored.has(id))).toEqual([])
    expect(sent).toBeGreaterThan(40)
  })
})

async function startProcess(store: string): Promise<{ url: string; child: ChildProcess }> {
  const child = fork(join(import.meta.dirname, 'serving.ts'), [store])
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  return { url, child }
}
