import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { maxDataDepth } from '../../src/core/event.ts'
import { maxLineBytes, type NdjsonLine, readNdjson } from '../../src/generators/read-ndjson.ts'

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  yield* chunks
}

async function read(...chunks: (string | Uint8Array)[]): Promise<NdjsonLine[]> {
  const lines: NdjsonLine[] = []
  for await (const line of readNdjson(chunksOf(...chunks))) lines.push(line)
  return lines
}

describe('readNdjson', () => {
  it('gives each value with its line, past blank lines, CR LF, a byte order mark and a missing last line break', async () => {
    expect(await read('\uFEFF{"a":1}\r\n\n  \n[2]\n"three"')).toEqual([
      { line: 1, text: '{"a":1}', value: { a: 1 } },
      { line: 4, text: '[2]', value: [2] },
      { line: 5, text: '"three"', value: 'three' },
    ])
    expect(await read('')).toEqual([])
    expect(await read('\n\n')).toEqual([])
  })

  it('gives the same however the bytes are cut, also inside a character', async () => {
    const values = fc.array(fc.record({ text: fc.string({ unit: 'binary' }), n: fc.integer() }), { maxLength: 5 })
    const cuts = fc.array(fc.nat(200), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(values, cuts, async (given, places) => {
        const bytes = Buffer.from(given.map((value) => `${JSON.stringify(value)}\n`).join(''))
        const at = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
        expect((await read(...chunks)).map(({ value }) => value)).toEqual(JSON.parse(JSON.stringify(given)))
      }),
    )
  })

  it('names the line that is no JSON, after giving those before it', async () => {
    const lines = readNdjson(chunksOf('{"a":1}\n\n{"a":\n{"b":2}\n'))
    expect((await lines.next()).value).toMatchObject({ line: 1, value: { a: 1 } })
    const error = await lines.next().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(EvtError)
    expect((error as EvtError).code).toBe('decode')
    expect((error as EvtError).message).toMatch(/^cannot read line 3: it is no JSON \(.+\)$/)
  })

  it('refuses a line above 4 MiB without waiting for its end', async () => {
    let given = 0
    async function* endless(): AsyncGenerator<string> {
      yield '{"a":1}\n'
      while (given < 100) {
        given += 1
        yield 'x'.repeat(1024 * 1024)
      }
    }
    const lines = readNdjson(endless())
    await lines.next()
    await expect(lines.next()).rejects.toThrow('cannot read line 2: it is longer than 4 MiB')
    expect(given).toBeLessThan(7)
  })

  it('refuses a line that is nested deeper than any event may be', async () => {
    const nested = (levels: number) => `{"data":${'['.repeat(levels)}${']'.repeat(levels)}}\n`
    expect(await read(nested(maxDataDepth))).toHaveLength(1)
    for (const levels of [maxDataDepth + 1, 5_000, 1_000_000]) {
      await expect(read(nested(1), nested(levels))).rejects.toMatchObject({
        code: 'decode',
        message: 'cannot read line 2: it is nested deeper than 1,000 levels',
      })
    }
  })

  it('takes a line just below 4 MiB', async () => {
    const text = JSON.stringify('x'.repeat(maxLineBytes - 10))
    expect((await read(`${text}\n`))[0]?.line).toBe(1)
  })
})
