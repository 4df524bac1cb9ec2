import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openTransport } from '../../src/transports/registry.ts'
import type { Message } from '../../src/transports/transport.ts'
import { describeWith, serverUrl } from '../setup/shared-servers.ts'
import { createNowhere, runHere } from './evt.ts'

const tombstone: Message = { id: 't1', key: 'user/1', headers: {}, body: new Uint8Array(), isTombstone: true }
const empty: Message = { id: 't2', key: 'user/2', headers: {}, body: new Uint8Array() }

describeWith('kafka', 'a record of Kafka without a value', () => {
  async function published(messages: readonly Message[], suffix = '') {
    const server = await serverUrl('kafka')
    const topic = `tombstones-${randomUUID().slice(0, 8)}${suffix}`
    const transport = await openTransport(server)
    onTestFinished(() => transport.close())
    await transport.ensure([{ name: topic, lanes: 1 }], 'create')
    const results = await transport.publish(topic, messages, AbortSignal.timeout(10_000))
    expect(results.map(({ state }) => state)).toEqual(messages.map(() => 'stored'))
    onTestFinished(() => transport.remove?.([topic]))
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    return { url: `${server}/${topic}`, topic, evt: (...words: string[]) => runHere(words, { cwd: nowhere.path }) }
  }

  it('is a tombstone in tail, which an empty text is not', async () => {
    const { url, evt } = await published([tombstone, empty])
    const words = ['tail', '*', '-s', url, '--since', 'start', '--no-follow']
    const lines = (await evt(...words, '-o', 'ndjson')).stdout.split('\n').filter(Boolean)
    const [first, second] = lines.map((line) => JSON.parse(line))
    expect(first).toMatchObject({ data: null, evt: { tombstone: true, key: 'user/1' } })
    expect(second.data).toBe('')
    expect(second.evt).not.toHaveProperty('tombstone')
    const shown = (await evt(...words)).stdout.split('\n')
    expect(shown[0]).toContain('(tombstone of user/1)')
    expect(shown[1]).toMatch(/""$/)
  })

  it('is one among dead letters, which show the stack that Spring wrote: masked, escaped and cut', async () => {
    const frames = Array.from({ length: 40 }, (_, n) => `\tat com.example.Bill.run${n}(Bill.java:${n})`)
    const stack = ['java.lang.IllegalState: no redis://me:hidden@h/0', '\tat com.\u001b[31mred', ...frames].join('\r\n')
    const headers = {
      'kafka_dlt-original-topic': 'orders',
      'kafka_dlt-exception-fqcn': 'java.lang.IllegalState',
      'kafka_dlt-exception-message': 'no',
      'kafka_dlt-exception-stacktrace': stack,
    }
    const { url, evt } = await published([{ ...tombstone, headers }], '-dlt')
    const [letter] = JSON.parse((await evt('dlq', 'list', '-s', url, '--flat', '--json')).stdout).data.letters
    const { data } = JSON.parse((await evt('dlq', 'show', letter.id, '-s', url, '--json')).stdout)
    expect(data).toMatchObject({ text: null, tombstone: true, event: { data: null } })
    expect(data.stack).toBe(stack.replace('hidden', '***'))
    const { stdout } = await evt('dlq', 'show', letter.id, '-s', url)
    expect(stdout).toContain('(tombstone: it has no body at all)')
    expect(stdout).toContain('IllegalState: no redis://me:***@h/0')
    for (const never of ['hidden', '\u001b']) expect(stdout).not.toContain(never)
    expect(stdout).toContain('  at com.example.Bill.run9(')
    expect(stdout).not.toContain('run10(')
    expect(stdout).toContain('… 30 more lines: -o json has them')
  })
})
