import { describe, expect, it } from 'vitest'
import { createSink } from '../../src/output/sink.ts'
import { createStream } from './stream.ts'

const nextTurn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))

describe('sink', () => {
  it('lets a single line leave in the turn after it was written', async () => {
    const stream = createStream()
    const sink = createSink(stream)
    void sink.write('one\n')
    expect(stream.writes).toEqual([])
    await nextTurn()
    expect(stream.writes).toEqual(['one\n'])
  })

  it('writes the lines of one turn at once', async () => {
    const stream = createStream()
    const sink = createSink(stream)
    for (let i = 0; i < 100; i++) void sink.write(`${i}\n`)
    await nextTurn()
    expect(stream.writes.length).toBe(1)
    expect(stream.text.split('\n').length).toBe(101)
  })

  it('makes the writer wait while the reader is slow, and only then', async () => {
    const stream = createStream()
    const sink = createSink(stream)
    expect(sink.write('x'.repeat(70_000))).toBeUndefined()
    stream.full = true
    let room = false
    const waiting = Promise.resolve(sink.write('y'.repeat(70_000))).then(() => {
      room = true
    })
    await nextTurn()
    expect(room).toBe(false)
    stream.drain()
    await waiting
    expect(stream.text.length).toBe(140_000)
  })

  it('flushes what was just written', async () => {
    const stream = createStream()
    const sink = createSink(stream)
    void sink.write('last words\n')
    await sink.flush()
    expect(stream.text).toBe('last words\n')
  })

  it('does not wait for a reader that is gone', async () => {
    const stream = createStream()
    const sink = createSink(stream)
    stream.full = true
    const waiting = sink.write('x'.repeat(70_000))
    stream.fail()
    await waiting
    await sink.write('y'.repeat(70_000))
    await sink.flush()
    expect(sink.gone).toBe(true)
    expect(stream.text).not.toContain('y')
  })
})
